//@ E0616
//! The address inside a handle cannot be taken out.
use bailiwick_control::registry::handles::IngestHandle;

pub fn steal(handle: &IngestHandle) {
    let _ = &handle.ingest;
}
