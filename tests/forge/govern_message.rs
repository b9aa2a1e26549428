//@ E0451
//! A govern request for a tenant of one's choice cannot be written.
use bailiwick_control::registry::handles::Governed;

fn anything<T>() -> T {
    loop {}
}

pub fn forge() -> Governed {
    Governed { tenant: anything(), by: anything(), request: anything() }
}
