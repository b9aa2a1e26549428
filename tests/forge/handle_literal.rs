//@ E0451
//! A handle cannot be built outside the registry.
use bailiwick_control::registry::handles::AskHandle;

pub fn forge(stolen: AskHandle) -> AskHandle {
    AskHandle { seal: stolen.seal, admit: stolen.admit }
}
