//@ E0451
//! A govern request for a tenant of one's choice cannot be written.
use bailiwick_control::registry::handles::Governed;

pub fn forge(stolen: Governed) -> Governed {
    Governed { tenant: stolen.tenant, by: stolen.by, request: stolen.request }
}
