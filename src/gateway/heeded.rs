//! Headers that calls heed, as the description of the routes has them.

/// What a call whose answer may be told again heeds.
pub(super) const TOLD_AGAIN: &[(&str, &str)] = &[
    (
        "X-Bailiwick-Conversation",
        "1 to 256 visible ASCII characters. While a new release of the tenant's policy, models or flags is on its way to \
         everybody, one conversation is served by one release. A follow-up is understood by what the same asker asked in \
         it, and a model is told what it was answered, as far as the policy lets it. `conversation_id` of a question's body \
         says the same, and `user` for which of its users a key speaks. Without it every request is a conversation of its \
         own; a WebSocket session is one.",
    ),
    (
        "Idempotency-Key",
        "1 to 256 visible ASCII characters. The same key and body within 24 hours give the same answer and are charged \
         once; the repeat carries `x-bailiwick-idempotent-replay: true` and a cost of 0. Another body is a `conflict`.",
    ),
    (
        "Cache-Control",
        "`no-cache` has the answer made anew and remembered, `no-store` made anew and forgotten. Where the tenant has a \
         cache, `x-bailiwick-cache` says `hit`, `semantic-hit` (the answer to a question of the same meaning), `miss` or \
         `bypass`; a hit costs 0, a semantic hit the embedding of the question.",
    ),
];
