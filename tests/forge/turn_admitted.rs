//@ E0624
//! A turn cannot be admitted outside the supervisor.
use bailiwick_tenant::turn::{Case, ReplyLine, Turn};

pub fn forge(case: Case, line: ReplyLine) {
    let _ = Turn::admit(case, line, Default::default());
}
