//! `bailiwick verify`: whether a receipt or an export is what a tenant has signed. Needs no server and no network.
use super::{Output, say};
use anyhow::{Context, bail};
use bailiwick_kernel::clock::rfc3339;
use bailiwick_kernel::money::NanoUsd;
use bailiwick_tenant::proofs::certificates::{CERTIFICATE, ErasureCertificate, verified};
use bailiwick_tenant::proofs::forms::{EXPORT, Header, RECEIPT, Receipt, ShownRecord};
use bailiwick_tenant::proofs::verifier::{self, Export, Exported, Proved};
use clap::Args;
use serde::Deserialize;
use serde_json::json;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// Bytes of one line of a file, at most: the longest answer in base64, with its proofs.
const LINE_BYTES_MAX: u64 = 64 << 20;

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// A receipt (`GET /v1/receipts?query_id=`), an export (`GET /v1/receipts/export`) or a certificate of erasure
    /// (`GET /v1/erasures/{id}/certificate`).
    file: PathBuf,
    /// The tenant's verifier key, as you were given it before. Without it the file is held against the key it brings itself,
    /// which shows that it is whole and not whose it is.
    #[arg(long)]
    verifier_key: Option<String>,
    /// A file with a checkpoint that was signed earlier: the export must have grown from it.
    #[arg(long)]
    since: Option<PathBuf>,
    /// How to print.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// The word that tells a receipt from an export.
#[derive(Deserialize)]
struct Format {
    format: String,
}

impl Verify {
    /// Verifies and says what holds.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let shown = self.file.display();
        let mut lines = Lines::open(&self.file)?;
        let first = lines.next_line()?;
        let first = first.with_context(|| format!("reading {shown}: it is empty; name a receipt or an export"))?;
        let read = || format!("reading {shown}: it is no receipt and no export of bailiwick");
        let Format { format } = serde_json::from_str(&first).with_context(read)?;
        match format.as_str() {
            RECEIPT if self.since.is_some() => {
                bail!("reading --since: a receipt proves one answer; only an export can have grown from a checkpoint")
            }
            RECEIPT => {
                let receipt: Receipt = serde_json::from_str(&first).with_context(read)?;
                let proved = verifier::receipt(&receipt, self.verifier_key.as_deref());
                self.say_receipt(&receipt.header, &proved.with_context(|| format!("{shown} does not hold"))?);
            }
            CERTIFICATE => {
                let file: ErasureCertificate = serde_json::from_str(&first).with_context(read)?;
                self.say_certificate(&file).with_context(|| format!("{shown} does not hold"))?;
            }
            EXPORT => {
                let header: Header = serde_json::from_str(&first).with_context(read)?;
                let exported = self.export(&header, &mut lines).with_context(|| format!("{shown} does not hold"))?;
                self.say_export(&header, &exported);
            }
            other => bail!("reading {shown}: this build knows no {other:?}; use a newer one"),
        }
        Ok(())
    }

    fn export(&self, header: &Header, lines: &mut Lines) -> anyhow::Result<Exported> {
        let earlier = self.since.as_deref().map(earlier).transpose()?;
        let mut export = Export::begin(header, self.verifier_key.as_deref(), earlier.as_deref())?;
        while let Some(line) = lines.next_line()? {
            let record: ShownRecord = serde_json::from_str(&line)
                .with_context(|| format!("reading line {}: it is no record", lines.number))?;
            export.record(&record)?;
        }
        Ok(export.end()?)
    }

    fn whose(&self, header: &Header) -> String {
        match self.verifier_key {
            Some(_) => format!("signed by the key you named, for the journal {}", header.tenant_key),
            None => format!(
                "signed by {}, which you did not name: compare it with the key you were given (--verifier-key)",
                header.verifier_key
            ),
        }
    }

    fn say_certificate(&self, file: &ErasureCertificate) -> anyhow::Result<()> {
        let certificate = verified(file, self.verifier_key.as_deref())?;
        if self.output == Output::Json {
            let said: serde_json::Map<_, _> =
                certificate.lines.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
            let told = json!({
                "holds": true, "of": certificate.origin, "key_named": self.verifier_key.is_some(), "said": said,
            });
            say(told.to_string());
            return Ok(());
        }
        let whose = match self.verifier_key {
            Some(_) => "signed by the key you named".to_owned(),
            None => format!("signed by {}, which you did not name (--verifier-key)", file.verifier_key),
        };
        say(format!("holds: a certificate of erasure of {}, {whose}", certificate.origin));
        certificate.lines.iter().for_each(|(key, value)| say(format!("  {key}: {value}")));
        Ok(())
    }

    fn say_receipt(&self, header: &Header, proved: &Proved) {
        let Proved { head, position, answer, cited } = proved;
        if self.output == Output::Json {
            let told = json!({
                "holds": true, "tenant": header.tenant, "tenant_key": header.tenant_key, "position": position,
                "records": head.size, "signed_at": rfc3339(head.at_unix_ms), "key_named": self.verifier_key.is_some(),
                "answer": answer, "passages_sha256": proved.chunks().map(|(_, digest)| digest).collect::<Vec<_>>(),
                "policy_digest": cited.as_ref().map(|cited| &cited.policy_digest),
            });
            return say(told.to_string());
        }
        let (model, usage) = (&answer.model, &answer.usage);
        say(format!("holds: the answer {} of {}", answer.query_id, header.tenant));
        say(format!("  stands at {position} of {} records, {}", head.size, self.whose(header)));
        say(format!("  head signed {}", rfc3339(head.at_unix_ms)));
        say(format!("  asked {} by key {}", rfc3339(answer.admitted_unix_ms), answer.key_id));
        say(format!("  policy {}, model {}/{} in {}", answer.policy_version, model.provider, model.name, model.region));
        let (input, output) = (usage.prompt_tokens, usage.completion_tokens);
        say(format!("  charged {} USD for {input} tokens in and {output} out", usage.cost));
        for (chunk, digest) in proved.chunks() {
            let digest = digest.map_or_else(String::new, |digest| format!(", text sha256 {digest}"));
            say(format!("  cites {} of {}, trust {}{digest}", chunk.chunk_id, chunk.source_id, chunk.trust_score));
        }
        if let Some(cited) = cited {
            say(format!("  policy files sha256 {}", cited.policy_digest));
        }
        for (what, words) in [("question", &answer.question), ("answer", &answer.answer)] {
            if !words.is_empty() {
                say(format!("  {what}: {words}"));
            }
        }
    }

    fn say_export(&self, header: &Header, exported: &Exported) {
        let Exported { head, unshown } = exported;
        let charged = NanoUsd(head.charged_nano_usd);
        if self.output == Output::Json {
            let told = json!({
                "holds": true, "tenant": header.tenant, "tenant_key": header.tenant_key, "records": head.size,
                "answers": head.answers, "charged_usd": charged, "unshown": unshown,
                "signed_at": rfc3339(head.at_unix_ms), "key_named": self.verifier_key.is_some(),
                "grown_from_earlier": self.since.is_some(),
            });
            return say(told.to_string());
        }
        say(format!("holds: the journal of {}, {} records, {}", header.tenant, head.size, self.whose(header)));
        say(format!("  head signed {}", rfc3339(head.at_unix_ms)));
        if *unshown == 0 {
            say(format!("  {} answers, charged {charged} USD together: none is missing", head.answers));
        } else {
            say(format!("  the words of {unshown} records are not shown: that no answer is missing is not proved"));
        }
        if self.since.is_some() {
            say("  it has grown from the earlier checkpoint, and nothing of it was written anew");
        }
    }
}

/// The signed text of an earlier checkpoint: by itself, or as the route `/v1/receipts/checkpoint` gives it.
fn earlier(path: &Path) -> anyhow::Result<String> {
    #[derive(Deserialize)]
    struct Given {
        checkpoint: String,
    }
    let doing = || format!("reading {}", path.display());
    let mut text = String::new();
    let file = File::open(path).with_context(doing)?;
    file.take(LINE_BYTES_MAX).read_to_string(&mut text).with_context(doing)?;
    Ok(serde_json::from_str(&text).map_or(text, |Given { checkpoint }| checkpoint))
}

/// Lines of a file, none longer than one can be.
struct Lines {
    file: BufReader<File>,
    number: u64,
}

impl Lines {
    fn open(path: &Path) -> anyhow::Result<Self> {
        let file = File::open(path).with_context(|| format!("reading {}", path.display()))?;
        Ok(Self { file: BufReader::new(file), number: 0 })
    }

    fn next_line(&mut self) -> anyhow::Result<Option<String>> {
        let mut line = String::new();
        self.number = self.number.saturating_add(1);
        let read = self.file.by_ref().take(LINE_BYTES_MAX).read_line(&mut line);
        let read = read.with_context(|| format!("reading line {}", self.number))?;
        Ok((read > 0).then_some(line))
    }
}
