//! `get`: reads a key or a range of keys.

use super::range::{Extent, Keys};
use super::{raw, show};
use crate::connect::Client;
use crate::exit::Failure;
use crate::print::{Answer, Format, Shown};
use crate::settings::Settings;
use clap::Args;
use proto::etcdserverpb as pb;
use proto::etcdserverpb::range_request::{SortOrder, SortTarget};
use std::ffi::OsString;
use std::sync::Arc;

/// `get [options] <key> [range_end]`
#[derive(Args, Clone, Debug)]
#[allow(clippy::struct_excessive_bools)] // the options of the command line
pub struct Get {
    /// The key, and perhaps the end of the range, itself not included
    #[arg(value_names = ["KEY", "RANGE_END"])]
    keys: Vec<OsString>,
    /// Linearizable (l) or serializable (s)
    #[arg(long, default_value = "l")]
    consistency: String,
    /// ASCEND or DESCEND
    #[arg(long, default_value = "", hide_default_value = true)]
    order: String,
    /// CREATE, KEY, MODIFY, VALUE or VERSION
    #[arg(long, default_value = "", hide_default_value = true)]
    sort_by: String,
    /// At most this many results
    #[arg(long, default_value_t = 0, hide_default_value = true, allow_hyphen_values = true)]
    limit: i64,
    /// All keys that begin with the key
    #[arg(long)]
    prefix: bool,
    /// The key and all keys behind it
    #[arg(long)]
    from_key: bool,
    /// As of this revision
    #[arg(long, default_value_t = 0, hide_default_value = true, allow_hyphen_values = true)]
    rev: i64,
    /// Without the values
    #[arg(long)]
    keys_only: bool,
    /// Only how many there are
    #[arg(long)]
    count_only: bool,
    /// Without the keys, in simple output
    #[arg(long)]
    print_value_only: bool,
    /// Only keys made at this revision or later
    #[arg(long, default_value_t = 0, hide_default_value = true, allow_hyphen_values = true)]
    min_create_rev: i64,
    /// Only keys made at this revision or before
    #[arg(long, default_value_t = 0, hide_default_value = true, allow_hyphen_values = true)]
    max_create_rev: i64,
    /// Only keys changed last at this revision or later
    #[arg(long, default_value_t = 0, hide_default_value = true, allow_hyphen_values = true)]
    min_mod_rev: i64,
    /// Only keys changed last at this revision or before
    #[arg(long, default_value_t = 0, hide_default_value = true, allow_hyphen_values = true)]
    max_mod_rev: i64,
    /// Take the answer in pieces, with the RangeStream call
    #[arg(long)]
    stream: bool,
}

/// Reads the value of `--consistency`.
pub(crate) fn is_serializable(consistency: &str) -> Result<bool, Failure> {
    match consistency {
        "s" => Ok(true),
        "l" => Ok(false),
        other => Err(Failure::feature(format!(
            "unknown consistency flag {}",
            crate::print::text::quote(other.as_bytes())
        ))
        .hinting("choose l (linearizable) or s (serializable)")),
    }
}

fn order(text: &str) -> Result<SortOrder, Failure> {
    match text.to_uppercase().as_str() {
        "" => Ok(SortOrder::None),
        "ASCEND" => Ok(SortOrder::Ascend),
        "DESCEND" => Ok(SortOrder::Descend),
        _ => Err(Failure::feature(format!("bad sort order {text}")).hinting("choose ASCEND or DESCEND")),
    }
}

fn target(text: &str) -> Result<SortTarget, Failure> {
    match text.to_uppercase().as_str() {
        "" | "KEY" => Ok(SortTarget::Key),
        "CREATE" => Ok(SortTarget::Create),
        "MODIFY" => Ok(SortTarget::Mod),
        "VALUE" => Ok(SortTarget::Value),
        "VERSION" => Ok(SortTarget::Version),
        _ => Err(Failure::feature(format!("bad sort target {text}"))
            .hinting("choose CREATE, KEY, MODIFY, VALUE or VERSION")),
    }
}

fn ordered(name: &str, least: i64, most: i64) -> Result<(), Failure> {
    if most > 0 && least > most {
        return Err(Failure::feature(format!("getMin{name}(={least}) > getMax{name}(={most})")));
    }
    Ok(())
}

impl Get {
    /// The request that the arguments mean.
    pub(crate) fn request(&self) -> Result<pb::RangeRequest, Failure> {
        let Some(key) = self.keys.first() else {
            return Err(Failure::arguments(
                "get command needs one argument as key and an optional argument as range_end",
            ));
        };
        let extent = Extent::of(self.prefix, self.from_key)?;
        if self.keys_only && self.count_only {
            return Err(Failure::arguments(
                "`--keys-only` and `--count-only` cannot be set at the same time, choose one",
            ));
        }
        let serializable = is_serializable(&self.consistency)?;
        let Keys { key, end } = Keys::new(raw(key), self.keys.get(1).map(|end| raw(end)), extent)?;
        let (order, target) = (order(&self.order)?, target(&self.sort_by)?);
        // Answers are in this order anyway; asking for it would make the server read everything before it cuts.
        let order =
            if target == SortTarget::Key && order == SortOrder::Ascend { SortOrder::None } else { order };
        ordered("CreateRev", self.min_create_rev, self.max_create_rev)?;
        ordered("ModRev", self.min_mod_rev, self.max_mod_rev)?;
        Ok(pb::RangeRequest {
            key,
            range_end: end,
            limit: self.limit,
            revision: self.rev.max(0),
            sort_order: order.into(),
            sort_target: target.into(),
            serializable,
            keys_only: self.keys_only,
            count_only: self.count_only,
            min_mod_revision: self.min_mod_rev.max(0),
            max_mod_revision: self.max_mod_rev.max(0),
            min_create_revision: self.min_create_rev.max(0),
            max_create_revision: self.max_create_rev.max(0),
        })
    }

    fn check_form(&self, format: Format) -> Result<(), Failure> {
        if self.count_only && format != Format::Fields {
            return Err(
                Failure::arguments("--count-only is only for `--write-out=fields`").hinting("add -w fields")
            );
        }
        if self.print_value_only && format != Format::Simple {
            return Err(Failure::arguments("print-value-only is only for `--write-out=simple`"));
        }
        Ok(())
    }

    pub(super) async fn run(self, settings: &Arc<Settings>) -> Result<(), Failure> {
        let request = self.request()?;
        self.check_form(settings.format)?;
        let mut client = Client::connect(settings).await?;
        if self.print_value_only {
            client.printer.shown = Shown::ValuesOnly;
        }
        let answer = if self.stream {
            gather(&client, request).await?
        } else {
            client.call(client.kv().range(client.bounded(request)?)).await?
        };
        show(&client, &Answer::Range(&answer))
    }
}

/// Puts the pieces of a streamed answer together.
async fn gather(client: &Client, request: pb::RangeRequest) -> Result<pb::RangeResponse, Failure> {
    let mut pieces = client.call(client.kv().range_stream(client.request(request))).await?;
    let mut whole = pb::RangeResponse::default();
    loop {
        let next = async { pieces.message().await.map(tonic::Response::new) };
        let Some(piece) = client.call(next).await? else { return Ok(whole) };
        let Some(piece) = piece.range_response else { continue };
        whole.header = piece.header.or(whole.header);
        whole.kvs.extend(piece.kvs);
        whole.more |= piece.more;
        if piece.count != 0 {
            whole.count = piece.count;
        }
    }
}
