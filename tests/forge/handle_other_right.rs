//@ E0599
//! A handle permits one right and nothing else.
use bailiwick_control::registry::handles::AskHandle;

pub async fn overreach(handle: &AskHandle) {
    let _ = handle.remove("doc".to_owned()).await;
}
