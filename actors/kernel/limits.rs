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
/// Asks in flight on one WebSocket session.
pub const SESSION_ASKS_MAX: usize = 16;
/// Bytes of one frame a WebSocket client sends: the longest question with room for its escapes.
pub const SESSION_FRAME_BYTES_MAX: usize = 256 << 10;
/// Uploads read into memory at the same time, over all tenants.
pub const UPLOADS_IN_FLIGHT_MAX: usize = 16;
/// Connections open at the same time.
pub const CONNECTIONS_MAX: usize = 16_384;
/// Characters of an id, name, domain, use case or region given by a caller.
pub const NAME_CHARS_MAX: usize = 256;
/// Characters of a title.
pub const TITLE_CHARS_MAX: usize = 1_000;
/// Characters of a source URL.
pub const SOURCE_CHARS_MAX: usize = 2_048;
/// Bytes of the free metadata of one document, and of its detached signature.
pub const METADATA_BYTES_MAX: usize = 16 << 10;
/// Characters of a comment and of a correct answer in one feedback.
pub const FEEDBACK_CHARS_MAX: usize = 6_000;
/// Items of one page of a list.
pub const PAGE_ITEMS_MAX: usize = 1_000;
/// Records looked at for one portion of an export.
pub const EXPORT_PORTION_MAX: usize = 512;
/// Panics of one tenant's rooms within [`RESTART_WINDOW_MS`] before that tenant is quarantined.
pub const RESTARTS_MAX: u32 = 32;
/// The window of the restart budget.
pub const RESTART_WINDOW_MS: u64 = 10_000;

const _: () = assert!(INLINE_BLOB_BYTES_MAX < STORE_VALUE_BYTES_MAX, "an inline blob must fit a store value");
const _: () = assert!(RECORD_BYTES_MAX + 1_024 < STORE_VALUE_BYTES_MAX, "a sealed record with its frame must fit a store value");
const _: () = assert!(FEEDBACK_CHARS_MAX * 2 * 4 + 2_048 < RECORD_BYTES_MAX, "feedback must fit one record");
const _: () = assert!(QUESTION_CHARS_MAX * 12 < SESSION_FRAME_BYTES_MAX, "the longest question, escaped, must fit a frame");
const _: () = assert!(TOP_K_DEFAULT <= TOP_K_MAX, "the default must be allowed");
const _: () = assert!(DOCUMENTS_PER_REQUEST_MAX < APPEND_RECORDS_MAX, "one request must fit one append");
