//! Every maximum of the house, with the relations between them asserted at compile time.

/// Longest question in characters.
pub const QUESTION_CHARS_MAX: usize = 10_000;
/// Domains, use cases, users and keys of one tenant that are counted by name under one kind of limit at the same time.
pub const COUNTED_MEMBERS_MAX: usize = 4_096;
/// Passages given to a model, at most.
pub const TOP_K_MAX: usize = 100;
/// Passages given to a model, unless the caller says otherwise.
pub const TOP_K_DEFAULT: usize = 8;
/// Bytes of one policy file of a tenant.
pub const POLICY_FILE_BYTES_MAX: usize = 1 << 20;
/// Lines of a tenant's `allowed_signers` that name a key.
pub const SIGNERS_MAX: usize = 64;
/// Bytes of one armoured signature: room for those of long RSA keys, which are told what to use instead.
pub const SIGNATURE_BYTES_MAX: usize = 8 << 10;
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
/// Bytes of the log ahead of the store in one segment, which the store gets once it is complete …
pub const STORE_AHEAD_SEGMENT_BYTES: usize = 8 << 20;
/// … and how many such segments the store may be behind: their changes are in memory until then.
pub const STORE_AHEAD_SEGMENTS_MAX: usize = 10;
/// Bytes of changes the store is given between two syncs. It writes nothing of its own accord before a segment of its log has come
/// together, and a thread that copies as much for the disk leaves its processor to nobody meanwhile.
pub const STORE_AHEAD_BELOW_BYTES: usize = 128 << 10;
/// Bytes of changes that wait for a sync before one is made for their sake.
pub const STORE_AHEAD_BUFFER_BYTES: usize = 4 << 20;
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
/// Bytes of one tenant in one such group beyond its first append: what else it sends waits for the next one.
pub const APPEND_GROUP_TENANT_BYTES_MAX: usize = 256 << 10;
/// Bytes of payloads after which one read of a journal ends early.
pub const READ_BYTES_MAX: usize = 8 << 20;
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
/// Bytes of one frame a WebSocket client sends: the longest question with room for its escapes.
pub const SESSION_FRAME_BYTES_MAX: usize = 256 << 10;
/// Uploads read into memory at the same time, over all tenants.
pub const UPLOADS_IN_FLIGHT_MAX: usize = 16;
/// Connections open at the same time.
pub const CONNECTIONS_MAX: usize = 16_384;
/// Characters of an id, name, domain, use case or region given by a caller.
pub const NAME_CHARS_MAX: usize = 256;
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
/// Longest a handle may be used before its holder knocks again: what a revoked key keeps at most.
pub const HANDLE_LEASE_MS: u64 = 10_000;
/// Messages one data key seals. NIST SP 800-38D allows 2^32 with random nonces of 96 bits: two of them meet with a
/// probability of at most 2^-32.
pub const MESSAGES_PER_DATA_KEY_MAX: u64 = (1 << 32) - 1;
/// Data keys of earlier openings one cipher keeps at hand; one more is derived again in a few microseconds.
pub const DATA_KEYS_KEPT_MAX: usize = 64;
/// Versions of one tenant's key.
pub const KEY_VERSIONS_MAX: usize = 1_000;
/// Versions of one tenant's key after which none is made any more because somebody asks for it: the rest is for age.
pub const KEY_VERSIONS_ON_DEMAND_MAX: usize = 500;
/// Bytes of one keyring file.
pub const KEYRING_BYTES_MAX: usize = 1 << 20;
/// Bytes of one answer of a key service outside this node: a wrapped key with its names.
pub const KEY_ANSWER_BYTES_MAX: usize = 64 << 10;
/// Longest one call to a key service outside may take.
pub const KEY_CALL_MS_MAX: u64 = 1_000;
/// Time between two looks at whether a customer's key is still to be had.
pub const KEY_LOOK_MS: u64 = 2_000;
/// Rooms of a tenant whose key is withheld have this long to end before their keys are taken away.
pub const KEY_WITHDRAW_MS: u64 = 1_000;
/// A tenant whose owner takes its key back is sealed within this.
pub const SEALED_WITHIN_MS: u64 = 5_000;
/// A customer's key that nobody says anything about is taken for withheld after this.
pub const KEY_UNREACHED_MS: u64 = 60_000;
/// Time between two looks at how old the tenants' keys are.
pub const KEY_AGE_LOOK_MS: u64 = 60_000;
/// Keys made anew by one such look: the rest has the next one.
pub const KEY_ROTATIONS_PER_LOOK_MAX: usize = 64;
/// Customers' keys of one key service looked at at the same time.
pub const KEY_LOOKS_AT_ONCE: usize = 16;
/// Tenants opened at the same time: each verifies a journal on a blocking thread.
pub const OPENINGS_AT_ONCE: usize = 4;
/// Knocks remembered as granted while nothing changes; a full lobby starts again empty.
pub const LOBBY_MAX: usize = 16_384;
/// Knocks waiting for one tenant to open.
pub const KNOCKS_WAITING_MAX: usize = 1_024;
/// Changes waiting for the registry's journal.
pub const CHANGES_WAITING_MAX: usize = 256;
/// Usable keys of one tenant.
pub const KEYS_PER_TENANT_MAX: usize = 1_000;
/// Revoked keys of one tenant that are still listed; older ones leave the list.
pub const REVOKED_KEYS_LISTED_MAX: usize = 1_000;
/// Issuers of bearer tokens one node trusts.
pub const ISSUERS_MAX: usize = 64;
/// Bytes of one bearer token.
pub const TOKEN_BYTES_MAX: usize = 16 << 10;
/// Bytes of one issuer's key set.
pub const KEY_SET_BYTES_MAX: usize = 256 << 10;
/// Keys of one issuer's key set.
pub const KEY_SET_KEYS_MAX: usize = 64;
/// Shortest and longest time until a key set is read again, whatever its issuer says.
pub const KEY_SET_FRESH_MS: std::ops::RangeInclusive<u64> = 300_000..=86_400_000;
/// Longest a key set that could not be read again is still used.
pub const KEY_SET_STALE_MS: u64 = 86_400_000;
/// Time between two readings of a key set that a token of an unknown key asks for.
pub const KEY_SET_ASKED_MS: u64 = 30_000;
/// Time after which a failed reading of a key set is tried again.
pub const KEY_SET_RETRY_MS: u64 = 60_000;
/// Longest one reading of a key set may take.
pub const KEY_SET_READ_MS: u64 = 10_000;
/// Knocks waiting for one key set to be read.
pub const KEY_SET_WAITING_MAX: usize = 256;
/// Attributes of a user that are taken from one token.
pub const TOKEN_ATTRIBUTES_MAX: usize = 32;
/// Seconds an issuer's clock may be off.
pub const TOKEN_LEEWAY_S_MAX: u64 = 300;
/// Tenants of one node.
pub const TENANTS_MAX: usize = 20_000;
/// Bytes of one file of a tenant's folder that is read as text.
pub const TENANT_FILE_BYTES_MAX: u64 = 1 << 20;
/// Bytes of a body that brings all files of a tenant's folder.
pub const TENANT_BODY_BYTES_MAX: usize = 16 << 20;
/// Files of a tenant's folder that are read as text.
pub const TENANT_FILES_MAX: usize = 64;
/// Folders handed to the registry at once.
pub const FOLDERS_PER_BATCH_MAX: usize = 64;
/// Changed folders remembered until quiet; more than that means "read all".
pub const FOLDER_EVENTS_MAX: usize = 4_096;
/// A burst of file events is over after this much quiet.
pub const FOLDER_QUIET_MS: u64 = 150;
/// A burst that never ends is read after this long all the same: a kill switch must be in force within a second, whatever
/// is written into other folders meanwhile.
pub const FOLDER_BURST_MS: u64 = 600;
/// Where the operating system tells of no file events, folders are looked at this often.
pub const FOLDER_POLL_MS: u64 = 2_000;
/// A tenant that has not acknowledged a policy by then is closed.
pub const ACKNOWLEDGE_MS: u64 = 5_000;
/// A supervisor that has not ended by then is no longer waited for.
pub const CLOSE_MS: u64 = 10_000;
/// A supervisor that has not shown its rooms by then is shown as silent.
pub const INSPECT_MS: u64 = 500;
/// Supervisors asked for their rooms at the same time.
pub const INSPECTIONS_AT_ONCE: usize = 64;
/// Calls that wait for the first one of their `Idempotency-Key` to end.
pub const REPEATS_WAITING_MAX: usize = 256;
/// Milliseconds what a call under an `Idempotency-Key` ended with is kept to be said again: 24 hours.
pub const REPEATS_KEPT_MS: u64 = 86_400_000;
/// `Idempotency-Key`s one tenant keeps; while as many are younger than [`REPEATS_KEPT_MS`], a further one is refused.
pub const REPEATS_KEPT_MAX: u64 = 262_144;
/// Requests of one tenant that wait for somebody's approval, or for being carried out once they have it.
pub const APPROVALS_OPEN_MAX: usize = 64;
/// Bytes of a request that is put before somebody to approve it: more is not read by anybody.
pub const APPROVAL_SUBJECT_BYTES_MAX: usize = 16 << 10;
/// Bytes of a reply that is kept to be said again; of a larger one is kept that it was given and charged.
pub const REPEATED_REPLY_BYTES_MAX: usize = 1 << 20;
/// Bytes of a kept reply in one record.
pub const REPEATED_PART_BYTES_MAX: usize = 40 << 10;
/// Seconds an answer may be given again by a cache: a week.
pub const CACHE_TTL_S_MAX: u64 = 604_800;
/// Bytes of one tenant's answer cache, at least: less would hold next to nothing.
pub const CACHE_BYTES_MIN: u64 = 64 << 10;
/// Bytes of one tenant's answer cache, at most.
pub const CACHE_BYTES_MAX: u64 = 1 << 30;
/// Bytes of one tenant's semantic answer cache, at most: every question is compared with all of them.
pub const SEMANTIC_CACHE_BYTES_MAX: u64 = 64 << 20;
/// Bytes of one answer remembered outside the node, sealed.
pub const SHARED_ANSWER_BYTES_MAX: usize = 256 << 10;
/// Objects of one tenant's bucket; a listing of more is refused as a whole.
pub const BUCKET_OBJECTS_MAX: usize = 100_000;
/// Bytes of objects taken in by one request, the last of them not counted.
pub const BUCKET_BATCH_BYTES: u64 = 8 << 20;
/// Objects taken in by one request.
pub const BUCKET_BATCH_MAX: usize = 32;
/// Bytes of one answer of a bucket: the largest document, or a page of a listing.
pub const BUCKET_ANSWER_BYTES_MAX: usize = DOCUMENT_BYTES_MAX;
/// Numbers of one embedding, at most; the largest models in use give 4,096.
pub const EMBEDDING_DIMENSIONS_MAX: usize = 8_192;
/// Bytes of the vectors of one tenant's passages in memory, a byte a number: 174,762 passages of 384 numbers.
pub const DENSE_BYTES_MAX: usize = 64 << 20;
/// Passages of one tenant whose vectors are searched outside the node: their numbers are in memory.
pub const OUTSIDE_POINTS_MAX: usize = 1_000_000;
/// Bytes of one answer of a vector store: the numbers of what was found.
pub const VECTOR_ANSWER_BYTES_MAX: usize = 1 << 20;
/// Longest time a question may take to be looked up before a model is asked instead.
pub const LOOKUP_MS_MAX: u64 = 5_000;
/// Ceilings of one budget below the tenant.
pub const CEILINGS_MAX: usize = 64;
/// Feature flags of one tenant: all of them are evaluated for one request.
pub const FLAGS_MAX: usize = 1_000;
/// Characters of the name of a flag or of a variant.
pub const FLAG_NAME_CHARS_MAX: usize = 128;
/// Variants of one flag.
pub const FLAG_VARIANTS_MAX: usize = 64;
/// Targets of one flag.
pub const FLAG_TARGETS_MAX: usize = 64;
/// Sum of the weights of one flag's split.
pub const FLAG_SPLIT_WEIGHT_MAX: u32 = 1_000_000;
/// Bytes of the key a flag's share is drawn by.
pub const TARGETING_KEY_BYTES_MAX: usize = 1_024;
/// Bytes of the context a flag is evaluated for.
pub const FLAG_CONTEXT_BYTES_MAX: usize = 64 << 10;
/// Domains, use cases, users and keys whose spending one tenant's ledger keeps apart.
pub const ACCOUNTS_MAX: usize = 4_096;
/// Calls of one tenant that wait until money held by others comes back.
pub const HOLD_WAITS_MAX: usize = 1_024;
/// Longest wait of one of them.
pub const HOLD_WAIT_MS_MAX: u64 = 10_000;
/// Days on which something was spent whose rows are kept, by tenant.
pub const COST_DAYS_MAX: usize = 62;
/// Bytes of one day's rows of spend: they are one value of the store.
pub const COST_DAY_BYTES_MAX: usize = 48 << 10;
/// Rows of one report of costs, over all tenants.
pub const COST_ROWS_MAX: usize = 100_000;
/// A tenant that has not said what it spent by then is shown as missing.
pub const COST_MS: u64 = 2_000;
/// Tenants that have not said what they spent when this has passed are not waited for, each however quick.
pub const COST_ALL_MS: u64 = 20_000;
/// Tenants asked what they spent at the same time.
pub const COST_READINGS_AT_ONCE: usize = 64;
/// Bytes of one line of lineage that is imported.
pub const IMPORTED_LINE_BYTES_MAX: usize = 16 << 10;
/// Lines of lineage imported by one request.
pub const IMPORTED_LINES_MAX: usize = 1_000;
/// Files of lineage imported into one tenant.
pub const IMPORTS_MAX: usize = 16;
/// Requests for erasure of one tenant that are open at the same time.
pub const ERASURES_OPEN_MAX: usize = 4_096;
/// Requests for erasure in one page of a list.
pub const ERASURES_PER_PAGE_MAX: usize = 1_000;
/// Characters of a reason or a user id given by a caller.
pub const NOTE_CHARS_MAX: usize = 500;

const _: () = assert!(INLINE_BLOB_BYTES_MAX < STORE_VALUE_BYTES_MAX, "an inline blob must fit a store value");
const _: () =
    assert!(RECORD_BYTES_MAX + 1_024 < STORE_VALUE_BYTES_MAX, "a sealed record with its frame must fit a store value");
const _: () =
    assert!(COST_DAY_BYTES_MAX + 2_048 < STORE_VALUE_BYTES_MAX, "a sealed day of spend must fit a store value");
const _: () = assert!(FEEDBACK_CHARS_MAX * 2 * 4 + 2_048 < RECORD_BYTES_MAX, "feedback must fit one record");
const _: () =
    assert!(QUESTION_CHARS_MAX * 12 < SESSION_FRAME_BYTES_MAX, "the longest question, escaped, must fit a frame");
const _: () = assert!(PROVIDER_AHEAD_BYTES_MAX < PROVIDER_ANSWER_BYTES_MAX, "what runs ahead is part of an answer");
const _: () = assert!(TOP_K_DEFAULT <= TOP_K_MAX, "the default must be allowed");
const _: () = assert!(DOCUMENTS_PER_REQUEST_MAX < APPEND_RECORDS_MAX, "one request must fit one append");
const _: () = assert!(FOLDERS_PER_BATCH_MAX < APPEND_RECORDS_MAX, "one batch of folders must fit one append");
const _: () = assert!(
    REPEATED_PART_BYTES_MAX + NAME_CHARS_MAX * 8 + 1_024 < RECORD_BYTES_MAX,
    "a part of a kept reply must fit one record"
);
const _: () = assert!(
    REPEATED_REPLY_BYTES_MAX / REPEATED_PART_BYTES_MAX * 2 < APPEND_RECORDS_MAX,
    "a kept reply must leave its append room for the answer"
);
const _: () = assert!(
    KEY_LOOK_MS + 2 * KEY_CALL_MS_MAX + KEY_WITHDRAW_MS <= SEALED_WITHIN_MS,
    "a look, a call that is waited for, and the end of the rooms must fit"
);
const _: () = assert!(KEY_VERSIONS_ON_DEMAND_MAX < KEY_VERSIONS_MAX, "age must find room in a keyring");
const _: () = assert!(FOLDER_QUIET_MS < FOLDER_BURST_MS, "a burst must be able to end");
const _: () = assert!(APPEND_BYTES_MAX <= APPEND_QUEUE_BYTES_MAX, "the largest append must fit the queue");
const _: () = assert!(PARSE_CPU_SECONDS_MAX * 1_000 < PARSE_MS_MAX, "the processor limit must be reached first");
const _: () = assert!(DOCUMENT_CHARS_MAX * 6 < PARSE_REPLY_BYTES_MAX, "the largest text must fit the parser's answer");
const _: () = assert!(
    20 * (STORE_VALUE_BYTES_MAX + STORE_KEY_BYTES_MAX) < STORE_SEGMENT_BYTES / 4,
    "a page must stay in the log"
);
