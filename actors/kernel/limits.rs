//! Every maximum of the house, with the relations between them asserted at compile time.

/// Longest question in characters.
pub const QUESTION_CHARS_MAX: usize = 10_000;
/// Passages given to a model, at most.
pub const TOP_K_MAX: usize = 100;
/// Passages given to a model, unless the caller says otherwise.
pub const TOP_K_DEFAULT: usize = 8;
/// Documents in one ingest request.
pub const DOCUMENTS_PER_REQUEST_MAX: usize = 1_000;
/// Bytes of one HTTP body.
pub const BODY_BYTES_MAX: usize = 64 << 20;
/// Bytes of one JSON body of the question routes.
pub const JSON_BYTES_MAX: usize = 4 << 20;
/// Bytes of one document before parsing.
pub const DOCUMENT_BYTES_MAX: usize = 32 << 20;
/// Characters of text taken from one document.
pub const DOCUMENT_CHARS_MAX: usize = 8 << 20;
/// Bytes of one value in the store; larger ones would bypass its log (design §7).
pub const STORE_VALUE_BYTES_MAX: usize = 64 << 10;
/// Blobs up to this size stand in the store, larger ones in a file of their own.
pub const INLINE_BLOB_BYTES_MAX: usize = 32 << 10;
/// Bytes of one journal record before sealing.
pub const RECORD_BYTES_MAX: usize = 60 << 10;
/// Records in one append.
pub const APPEND_RECORDS_MAX: usize = 4_096;
/// Appends waiting for the group commit.
pub const APPEND_QUEUE_MAX: usize = 8_192;
/// Messages waiting before one room.
pub const MAILBOX_MAX: usize = 1_024;
/// Frames waiting in one streamed reply: a slow client stops its own turn, nobody else's.
pub const STREAM_FRAMES_MAX: usize = 64;
/// Bytes of one provider's answer, whole or streamed; a longer one is given up.
pub const PROVIDER_ANSWER_BYTES_MAX: usize = 16 << 20;
/// Bytes of a provider's error body that are read for its reason.
pub const PROVIDER_ERROR_BYTES_MAX: usize = 16 << 10;
/// Bytes a provider's stream may run ahead of the asker.
pub const PROVIDER_AHEAD_BYTES_MAX: usize = 64 << 10;
/// Characters of a provider's error message quoted to the asker.
pub const PROVIDER_QUOTE_CHARS_MAX: usize = 200;
/// Longest `Retry-After` of a provider that is waited for; a longer one means the next candidate.
pub const PROVIDER_RETRY_AFTER_MS_MAX: u64 = 10_000;
/// Token counts of large texts under way off the reactor.
pub const TOKEN_COUNTS_MAX: usize = 2;
/// Asks in flight on one WebSocket session.
pub const SESSION_ASKS_MAX: usize = 16;
/// Panics of one tenant's rooms within [`RESTART_WINDOW_MS`] before that tenant is quarantined.
pub const RESTARTS_MAX: u32 = 32;
/// The window of the restart budget.
pub const RESTART_WINDOW_MS: u64 = 10_000;

const _: () = assert!(INLINE_BLOB_BYTES_MAX < STORE_VALUE_BYTES_MAX, "an inline blob must fit a store value");
const _: () = assert!(RECORD_BYTES_MAX + 1_024 < STORE_VALUE_BYTES_MAX, "a sealed record with its frame must fit a store value");
const _: () = assert!(PROVIDER_AHEAD_BYTES_MAX < PROVIDER_ANSWER_BYTES_MAX, "what runs ahead is part of an answer");
const _: () = assert!(TOP_K_DEFAULT <= TOP_K_MAX, "the default must be allowed");
const _: () = assert!(DOCUMENTS_PER_REQUEST_MAX < APPEND_RECORDS_MAX, "one request must fit one append");
