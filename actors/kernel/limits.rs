//! Every maximum of the house, with the relations between them asserted at compile time.

/// Longest question in characters.
pub const QUESTION_CHARS_MAX: usize = 10_000;
/// Passages given to a model, at most.
pub const TOP_K_MAX: usize = 100;
/// Passages given to a model, unless the caller says otherwise.
pub const TOP_K_DEFAULT: usize = 8;
/// Bytes of one policy file of a tenant.
pub const POLICY_FILE_BYTES_MAX: usize = 1 << 20;
/// Patterns in one list of forbidden patterns.
pub const FORBIDDEN_PATTERNS_MAX: usize = 512;
/// Characters of a tenant's name: it is also a folder's name and a DNS label.
pub const TENANT_NAME_CHARS_MAX: usize = 63;
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
/// Characters of one chunk of a document.
pub const CHUNK_CHARS_MAX: usize = 2_000;
/// Characters of a title.
pub const TITLE_CHARS_MAX: usize = 300;
/// Bytes of a file's name, as file systems have it.
pub const FILE_NAME_BYTES_MAX: usize = 255;
/// Wall-clock time of one parser process; longer than [`PARSE_CPU_SECONDS_MAX`], so that a busy machine is not blamed
/// on the document.
pub const PARSE_MS_MAX: u64 = 20_000;
/// Processor time of one parser process.
pub const PARSE_CPU_SECONDS_MAX: u64 = 15;
/// Address space of one parser process.
pub const PARSE_MEMORY_BYTES_MAX: u64 = 1 << 30;
/// Files open in one parser process: the three it is given and a few of the runtime's own.
pub const PARSE_FILES_MAX: u64 = 16;
/// Bytes of a parser process's answer: every character of the largest text escaped, with its frame.
pub const PARSE_REPLY_BYTES_MAX: usize = 64 << 20;
/// Files in one archive (docx).
pub const ARCHIVE_ENTRIES_MAX: usize = 4_096;
/// Bytes of one unpacked file of an archive.
pub const ARCHIVE_ENTRY_BYTES_MAX: u64 = 64 << 20;
/// Bytes of one value in the store; larger ones would bypass its log (design §7).
pub const STORE_VALUE_BYTES_MAX: usize = 64 << 10;
/// Bytes of one key in the store: 256 of them make a page, which must not bypass its log either.
pub const STORE_KEY_BYTES_MAX: usize = 2 << 10;
/// Bytes of one segment of the store's log. A page larger than a quarter of it leaves the log for a file that is never
/// synced, and a page holds up to 17 values, or 19 while two are merged.
pub const STORE_SEGMENT_BYTES: usize = 8 << 20;
/// Bytes of pages the store keeps in memory.
pub const STORE_CACHE_BYTES: u64 = 64 << 20;
/// Blobs up to this size stand in the store, larger ones in a file of their own.
pub const INLINE_BLOB_BYTES_MAX: usize = 32 << 10;
/// Bytes of one journal record before sealing.
pub const RECORD_BYTES_MAX: usize = 60 << 10;
/// Records in one append.
pub const APPEND_RECORDS_MAX: usize = 4_096;
/// Bytes of one append.
pub const APPEND_BYTES_MAX: usize = 64 << 20;
/// Appends waiting for the group commit.
pub const APPEND_QUEUE_MAX: usize = 8_192;
/// Bytes of appends waiting for the group commit.
pub const APPEND_QUEUE_BYTES_MAX: usize = 128 << 20;
/// Appends committed by one sync.
pub const APPEND_GROUP_MAX: usize = 1_024;
/// Bytes after which a group is committed without looking for more.
pub const APPEND_GROUP_BYTES_MAX: usize = 8 << 20;
/// Bytes of payloads after which one read of a journal ends early.
pub const READ_BYTES_MAX: usize = 8 << 20;
/// Messages waiting before one room.
pub const MAILBOX_MAX: usize = 1_024;
/// Frames waiting in one streamed reply: a slow client stops its own turn, nobody else's.
pub const STREAM_FRAMES_MAX: usize = 64;
/// Asks in flight on one WebSocket session.
pub const SESSION_ASKS_MAX: usize = 16;
/// Panics of one tenant's rooms within [`RESTART_WINDOW_MS`] before that tenant is quarantined.
pub const RESTARTS_MAX: u32 = 32;
/// The window of the restart budget.
pub const RESTART_WINDOW_MS: u64 = 10_000;

const _: () = assert!(INLINE_BLOB_BYTES_MAX < STORE_VALUE_BYTES_MAX, "an inline blob must fit a store value");
const _: () =
    assert!(RECORD_BYTES_MAX + 1_024 < STORE_VALUE_BYTES_MAX, "a sealed record with its frame must fit a store value");
const _: () = assert!(TOP_K_DEFAULT <= TOP_K_MAX, "the default must be allowed");
const _: () = assert!(DOCUMENTS_PER_REQUEST_MAX < APPEND_RECORDS_MAX, "one request must fit one append");
const _: () = assert!(PARSE_CPU_SECONDS_MAX * 1_000 < PARSE_MS_MAX, "the processor limit must be reached first");
const _: () = assert!(DOCUMENT_CHARS_MAX * 6 < PARSE_REPLY_BYTES_MAX, "the largest text must fit the parser's answer");
const _: () = assert!(APPEND_BYTES_MAX <= APPEND_QUEUE_BYTES_MAX, "the largest append must fit the queue");
const _: () = assert!(20 * (STORE_VALUE_BYTES_MAX + STORE_KEY_BYTES_MAX) < STORE_SEGMENT_BYTES / 4, "a page must stay in the log");
