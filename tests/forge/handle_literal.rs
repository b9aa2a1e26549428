//@ E0451
//! A handle cannot be built outside the registry.
use bailiwick_control::registry::handles::AskHandle;

fn anything<T>() -> T {
    loop {}
}

pub fn forge() -> AskHandle {
    AskHandle { seal: anything(), admit: anything() }
}
