//! Traces as the W3C's Trace Context names them: a request's place in somebody's tree of spans, read strictly and written again.
//! Pure but for the drawing of ids. What cannot be read is nobody's trace: a new one begins.
use std::fmt;
use std::sync::Arc;

const VERSION: &str = "00";
/// Characters of a `traceparent` of version 00.
const CHARS: usize = 55;
/// Bytes of a `tracestate` that is passed on; a longer one is left out (W3C Trace Context, 3.3.1.5).
const STATE_BYTES_MAX: usize = 512;
const STATE_MEMBERS_MAX: usize = 32;
const STATE_KEY_CHARS_MAX: usize = 256;
const STATE_VALUE_CHARS_MAX: usize = 256;
const SAMPLED: u8 = 1;

/// Names one tree of spans. Never zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId(u128);

/// Names one span of a tree. Never zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanId(u64);

impl TraceId {
    /// A fresh one.
    #[must_use]
    pub fn fresh() -> Self {
        Self(rand::random::<u128>().max(1))
    }

    /// As it stands in a protocol.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// Whether this trace is among the share of traces that are kept. Everybody who asks about one trace with one share says
    /// the same, and who is in at one share is in at every higher one (OpenTelemetry's `TraceIdRatioBased`).
    #[must_use]
    pub fn is_within(self, share: Share) -> bool {
        #[expect(clippy::cast_possible_truncation, reason = "the lower half, as the rule has it")]
        let lower = self.0 as u64;
        lower >> 1 < share.0
    }
}

impl SpanId {
    /// A fresh one.
    #[must_use]
    pub fn fresh() -> Self {
        Self(rand::random::<u64>().max(1))
    }

    /// As it stands in a protocol.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TraceId({self})")
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SpanId({self})")
    }
}

/// A share of all traces, in parts of 2^63.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Share(u64);

impl Share {
    /// A share of 0 to 1; what lies outside counts as the nearer end.
    #[must_use]
    pub fn of(ratio: f64) -> Self {
        let whole = 1_u64 << 63;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "from 0 to 2^63, which a float holds"
        )]
        let parts = (ratio.clamp(0.0, 1.0) * whole as f64) as u64;
        Self(parts.min(whole))
    }
}

/// A place in a tree of spans: which tree, under which span, and what others wrote beside it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TraceContext {
    /// The tree.
    pub trace: TraceId,
    /// The span that what follows stands under.
    pub span: SpanId,
    /// Its spans are kept.
    pub is_sampled: bool,
    /// `tracestate`: other systems' words, passed on as they are.
    pub state: Option<Arc<str>>,
}

impl TraceContext {
    /// Reads `traceparent` and, where that is sound, `tracestate`. `None` where it is malformed, or names nothing.
    #[must_use]
    pub fn read(traceparent: &str, tracestate: Option<&str>) -> Option<Self> {
        let (version, rest) = (traceparent.get(..2)?, traceparent.get(2..CHARS)?);
        let version = hexadecimal(version)?;
        let is_whole = match version {
            0 => traceparent.len() == CHARS,
            0xff => false,
            // a later version may say more behind what is known of it
            _ => traceparent.as_bytes().get(CHARS).is_none_or(|next| *next == b'-'),
        };
        let mut parts = rest.strip_prefix('-')?.split('-');
        let (trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?);
        let is_sized = (trace.len(), span.len(), flags.len()) == (32, 16, 2) && parts.next().is_none();
        if !is_whole || !is_sized {
            return None;
        }
        let (trace, span, flags) = (hexadecimal(trace)?, hexadecimal(span)?, hexadecimal(flags)?);
        let span = u64::try_from(span).ok()?;
        let is_sampled = u8::try_from(flags).ok()? & SAMPLED == SAMPLED;
        let state = tracestate.filter(|state| is_state(state)).map(Arc::from);
        (trace != 0 && span != 0).then_some(Self { trace: TraceId(trace), span: SpanId(span), is_sampled, state })
    }

    /// The `traceparent` of what stands under it.
    #[must_use]
    pub fn traceparent(&self) -> String {
        format!("{VERSION}-{}-{}-{:02x}", self.trace, self.span, u8::from(self.is_sampled))
    }

    /// The same tree, under another span.
    #[must_use]
    pub fn under(&self, span: SpanId) -> Self {
        Self { span, ..self.clone() }
    }
}

/// A number of lower-case hexadecimal digits and nothing else.
fn hexadecimal(text: &str) -> Option<u128> {
    let is_lower = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    is_lower.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

/// Whether a `tracestate` may be passed on. One malformed member spoils all of it.
fn is_state(state: &str) -> bool {
    let mut keys: Vec<&str> = Vec::new();
    let is_sound =
        state.split(',').map(|member| member.trim_matches([' ', '\t'])).filter(|member| !member.is_empty()).all(
            |member| {
                let Some((key, value)) = member.split_once('=') else { return false };
                let is_new = !keys.contains(&key);
                keys.push(key);
                is_new && is_key(key) && is_value(value)
            },
        );
    state.len() <= STATE_BYTES_MAX && is_sound && (1..=STATE_MEMBERS_MAX).contains(&keys.len())
}

fn is_key(key: &str) -> bool {
    let is_first = |first: char| first.is_ascii_lowercase() || first.is_ascii_digit();
    let is_next = |next: char| is_first(next) || matches!(next, '_' | '-' | '*' | '/' | '@');
    key.len() <= STATE_KEY_CHARS_MAX && key.starts_with(is_first) && key.chars().all(is_next)
}

fn is_value(value: &str) -> bool {
    let is_sound = |byte: u8| matches!(byte, 0x20..=0x7e) && !matches!(byte, b',' | b'=');
    (1..=STATE_VALUE_CHARS_MAX).contains(&value.len()) && value.bytes().all(is_sound) && !value.ends_with(' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOUND: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn what_is_sound_is_read_and_written_again() {
        let read = TraceContext::read(SOUND, Some("rojo=00f067aa0ba902b7, congo@x=t61rcWkgMzE")).unwrap();
        assert_eq!(read.traceparent(), SOUND);
        assert!(read.is_sampled && read.state.is_some());
        let quiet = TraceContext::read(&SOUND.replace("-01", "-02"), None).unwrap();
        assert!(!quiet.is_sampled);
        assert!(quiet.traceparent().ends_with("-00"), "unknown flags are not passed on");
        assert!(TraceContext::read(&SOUND.replacen("00-", "01-", 1), None).is_some());
        assert!(TraceContext::read(&format!("{}-more", SOUND.replacen("00-", "cc-", 1)), None).is_some());
    }

    #[test]
    fn what_is_malformed_is_nobodys_trace() {
        let zero_trace = "00-00000000000000000000000000000000-b7ad6b7169203331-01";
        let zero_span = "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01";
        let wrong = [
            String::new(),
            "00".into(),
            zero_trace.into(),
            zero_span.into(),
            SOUND.to_uppercase(),
            SOUND.replacen("00-", "ff-", 1),
            SOUND.replacen("00-", "0-", 1),
            SOUND.replacen("00-", "+0-", 1),
            format!("{SOUND}-x"),
            format!("{SOUND}0"),
            format!(" {SOUND}"),
            format!("{}.more", SOUND.replacen("00-", "01-", 1)),
            SOUND.replace('-', "_"),
            SOUND.replace("0af7", "0ag7"),
            SOUND.replace("0af7651916cd43dd8448eb211c80319c-b7ad", "0af7651916cd43dd8448eb211c8031-9cb7ad"),
            "ä".repeat(28),
        ];
        for traceparent in wrong {
            assert_eq!(TraceContext::read(&traceparent, None), None, "{traceparent:?}");
        }
    }

    #[test]
    fn a_malformed_tracestate_is_left_out_and_the_trace_stays() {
        let long = format!("a={}", "x".repeat(600));
        let many = (0..33).map(|number| format!("k{number}=v")).collect::<Vec<_>>().join(",");
        let wrong = ["", "a", "a=", "A=b", "a=b,a=c", "a=b=c", "a=\u{7f}", "a=b\r\nx: y", &long, &many];
        for state in wrong {
            let read = TraceContext::read(SOUND, Some(state)).unwrap();
            assert_eq!(read.state, None, "{state:?}");
        }
    }

    #[test]
    fn a_share_of_traces_grows_and_ends_at_all_of_them() {
        let drawn: Vec<TraceId> = (0..2_000).map(|_| TraceId::fresh()).collect();
        let kept = |ratio: f64| drawn.iter().filter(|trace| trace.is_within(Share::of(ratio))).count();
        assert_eq!((kept(0.0), kept(1.0), kept(7.0), kept(f64::NAN)), (0, 2_000, 2_000, 0));
        assert!((300..700).contains(&kept(0.25)), "{}", kept(0.25));
        let within = |trace: &&TraceId, ratio| trace.is_within(Share::of(ratio));
        assert!(drawn.iter().filter(|trace| within(trace, 0.25)).all(|trace| within(&trace, 0.5)));
    }
}
