//! Takes a tenant's documents in from the bucket its file names, and takes out what is gone from there: through the same
//! doors as everybody else, with a name of its own (`corpus-bucket`), under a transfer of the tenant's borders. What of the
//! bucket is here already is read off the documents themselves, so that nothing is remembered twice.
mod background;
mod objects;
mod rules;
mod s3;
mod standing;
#[cfg(test)]
mod tests;

pub use background::{Doors, Following, run};
pub use objects::{Bucket, BucketError, Buckets, Listing, Object, Objects, Pending, TenantBuckets};
pub use rules::KEY;
pub use s3::{S3Access, open};
pub use standing::{BucketView, Standing};
