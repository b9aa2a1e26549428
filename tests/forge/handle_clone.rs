//@ E0277
//! A handle cannot be copied: holding it is the permission.
use bailiwick_control::registry::handles::AskHandle;

pub fn copy(handle: &AskHandle) -> AskHandle {
    AskHandle::clone(handle)
}
