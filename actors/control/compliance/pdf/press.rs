//! Marks on pages, written as PDF.
use super::letters::bytes_of;
use super::marks::{Face, Ink, Mark, PAGE_HEIGHT, PAGE_WIDTH, Page};
use crate::compliance::report::Report;
use krilla::Document;
use krilla::color::rgb;
use krilla::geom::{Path, PathBuilder, Point};
use krilla::metadata::Metadata;
use krilla::num::NormalizedF32;
use krilla::page::PageSettings;
use krilla::paint::{Fill, FillRule, LineCap, Stroke};
use krilla::surface::Surface;
use krilla::text::{Font, TextDirection};
use std::f32::consts::{FRAC_PI_2, TAU};

/// Control points of a quarter of a circle, as a share of its radius.
const ROUND: f32 = 0.552_284_8;
/// Curves a ring is made of.
const ARC_PARTS: f32 = 16.0;
/// The house's dark green and its gold, as the seal has them.
const SEAL: [Ink; 3] = [Ink(0x1d, 0x3b, 0x36), Ink(0xe9, 0xc4, 0x6a), Ink(0xf7, 0xf3, 0xe8)];

struct Fonts {
    regular: Font,
    strong: Font,
    mono: Font,
}

impl Fonts {
    fn open() -> Option<Self> {
        let open = |face| Font::new(bytes_of(face).to_vec().into(), 0);
        Some(Self { regular: open(Face::Regular)?, strong: open(Face::Strong)?, mono: open(Face::Mono)? })
    }

    fn face(&self, face: Face) -> Font {
        match face {
            Face::Regular => self.regular.clone(),
            Face::Strong => self.strong.clone(),
            Face::Mono => self.mono.clone(),
        }
    }
}

/// Writes the pages.
pub(super) fn print(pages: &[Page], report: &Report) -> Result<Vec<u8>, String> {
    let fonts = Fonts::open().ok_or("a typeface of the program is damaged")?;
    let size = PageSettings::from_wh(PAGE_WIDTH, PAGE_HEIGHT).ok_or("a page has no size")?;
    let mut document = Document::new();
    document.set_metadata(metadata(report));
    for page in pages {
        let mut sheet = document.start_page_with(size.clone());
        let mut surface = sheet.surface();
        page.iter().for_each(|mark| draw(&mut surface, &fonts, mark));
        surface.finish();
        sheet.finish();
    }
    document.finish().map_err(|error| format!("{error:?}"))
}

fn metadata(report: &Report) -> Metadata {
    Metadata::new()
        .title(format!("Compliance report of {}, {}", report.tenant, report.week))
        .description("Machine-checked evidence with its freshness, tied to the tenant's journal".to_owned())
        .creator("Bailiwick".to_owned())
        .producer("Bailiwick".to_owned())
        .language("en".to_owned())
        .document_id(format!("{} {} {}", report.tenant_id, report.week, report.reported_at))
}

fn fill(ink: Ink) -> Fill {
    Fill { paint: rgb::Color::new(ink.0, ink.1, ink.2).into(), opacity: NormalizedF32::ONE, rule: FillRule::NonZero }
}

fn stroke(ink: Ink, width: f32) -> Stroke {
    let paint = rgb::Color::new(ink.0, ink.1, ink.2).into();
    Stroke { paint, width, line_cap: LineCap::Butt, ..Stroke::default() }
}

fn filled(surface: &mut Surface<'_>, ink: Ink, path: Option<Path>) {
    surface.set_stroke(None);
    surface.set_fill(Some(fill(ink)));
    if let Some(path) = path {
        surface.draw_path(&path);
    }
}

fn drawn(surface: &mut Surface<'_>, ink: Ink, width: f32, path: Option<Path>) {
    surface.set_fill(None);
    surface.set_stroke(Some(stroke(ink, width)));
    if let Some(path) = path {
        surface.draw_path(&path);
    }
}

fn draw(surface: &mut Surface<'_>, fonts: &Fonts, mark: &Mark) {
    match mark {
        Mark::Letters { x, y, face, size, ink, text } => {
            surface.set_stroke(None);
            surface.set_fill(Some(fill(*ink)));
            let at = Point::from_xy(*x, *y);
            surface.draw_text(at, fonts.face(*face), *size, text, false, TextDirection::LeftToRight);
        }
        Mark::Panel { x, y, width, height, radius, ink } => {
            filled(surface, *ink, panel(*x, *y, *width, *height, *radius));
        }
        Mark::Rule { x, y, width, weight, ink } => {
            let mut path = PathBuilder::new();
            path.move_to(*x, *y);
            path.line_to(x + width, *y);
            drawn(surface, *ink, *weight, path.finish());
        }
        Mark::Arc { x, y, radius, weight, share, ink } => {
            drawn(surface, *ink, *weight, arc((*x, *y), *radius, *share));
        }
        Mark::Seal { x, y, size } => seal(surface, (*x, *y), size / 64.0),
    }
}

fn panel(x: f32, y: f32, width: f32, height: f32, radius: f32) -> Option<Path> {
    let radius = radius.min(width / 2.0).min(height / 2.0).max(0.0);
    let (right, bottom, reach) = (x + width, y + height, radius * (1.0 - ROUND));
    let mut path = PathBuilder::new();
    path.move_to(x + radius, y);
    path.line_to(right - radius, y);
    path.cubic_to(right - reach, y, right, y + reach, right, y + radius);
    path.line_to(right, bottom - radius);
    path.cubic_to(right, bottom - reach, right - reach, bottom, right - radius, bottom);
    path.line_to(x + radius, bottom);
    path.cubic_to(x + reach, bottom, x, bottom - reach, x, bottom - radius);
    path.line_to(x, y + radius);
    path.cubic_to(x, y + reach, x + reach, y, x + radius, y);
    path.close();
    path.finish()
}

/// A part of a ring from the top clockwise, as short curves.
fn arc((x, y): (f32, f32), radius: f32, share: f32) -> Option<Path> {
    let angle = TAU * share.clamp(0.0, 1.0) / ARC_PARTS;
    let reach = radius * 4.0 / 3.0 * (angle / 4.0).tan();
    let mut path = PathBuilder::new();
    let mut from = -FRAC_PI_2;
    path.move_to(x + radius * from.cos(), y + radius * from.sin());
    let mut part = 0.0;
    while part < ARC_PARTS {
        let to = from + angle;
        let (start, end) = ((from.cos(), from.sin()), (to.cos(), to.sin()));
        path.cubic_to(
            x + radius * start.0 - reach * start.1,
            y + radius * start.1 + reach * start.0,
            x + radius * end.0 + reach * end.1,
            y + radius * end.1 - reach * end.0,
            x + radius * end.0,
            y + radius * end.1,
        );
        from = to;
        part += 1.0;
    }
    path.finish()
}

/// A shield with this distance from the seal's own outline.
fn shield((x, y): (f32, f32), unit: f32, points: [(f32, f32); 8]) -> Option<Path> {
    let [top, right, edge, low, bend, bottom, back, left] = points.map(|(h, v)| (x + h * unit, y + v * unit));
    let mut path = PathBuilder::new();
    path.move_to(top.0, top.1);
    path.line_to(right.0, right.1);
    path.line_to(edge.0, edge.1);
    path.cubic_to(low.0, low.1, bend.0, bend.1, bottom.0, bottom.1);
    path.cubic_to(back.0, back.1, left.0, low.1, left.0, edge.1);
    path.line_to(left.0, right.1);
    path.close();
    path.finish()
}

fn seal(surface: &mut Surface<'_>, at: (f32, f32), unit: f32) {
    let [green, gold, white] = SEAL;
    filled(surface, green, panel(at.0, at.1, 64.0 * unit, 64.0 * unit, 32.0 * unit));
    let outer =
        [(32.0, 9.0), (49.0, 16.0), (49.0, 29.0), (49.0, 41.0), (42.0, 49.0), (32.0, 54.0), (22.0, 49.0), (15.0, 29.0)];
    filled(surface, gold, shield(at, unit, outer));
    let inner = [
        (32.0, 16.0),
        (43.0, 20.6),
        (43.0, 29.6),
        (43.0, 37.6),
        (38.5, 43.1),
        (32.0, 46.6),
        (25.5, 43.1),
        (21.0, 29.6),
    ];
    filled(surface, green, shield(at, unit, inner));
    let mut check = PathBuilder::new();
    check.move_to(at.0 + 26.0 * unit, at.1 + 31.0 * unit);
    check.line_to(at.0 + 31.0 * unit, at.1 + 36.0 * unit);
    check.line_to(at.0 + 39.0 * unit, at.1 + 26.0 * unit);
    drawn(surface, white, 3.5 * unit, check.finish());
}
