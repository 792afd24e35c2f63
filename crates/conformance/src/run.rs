//! The run: each operation to both servers, the answers held against each other.

use crate::accounts::{Act, Who};
use crate::compare::{Answer, Difference};
use crate::generate::{Generator, Now, Operation};
use crate::watchers::{SENTINEL, Watchers};
use indicatif::{ProgressBar, ProgressStyle};
use proto::etcdserverpb as pb;
use proto::etcdserverpb::auth_client::AuthClient;
use proto::etcdserverpb::kv_client::KvClient;
use proto::etcdserverpb::lease_client::LeaseClient;
use proto::etcdserverpb::maintenance_client::MaintenanceClient;
use proto::etcdserverpb::watch_client::WatchClient;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Duration;
use tokio_stream::StreamExt;
use tonic::metadata::MetadataMap;
use tonic::transport::Channel;

/// Watchers of one round, at most.
const WATCHERS_MAX: usize = 60;
/// Operations shown before a difference.
const BEFORE_MAX: usize = 12;
/// An answer that takes longer counts as a difference.
const PATIENCE: Duration = Duration::from_secs(20);

/// After so many operations connections are made anew: a client of the h2 library gives a connection up after 1,024 frames for
/// streams that it has forgotten, and an etcd sends some for streams that were ended early.
const OPERATIONS_OF_CONNECTION: u64 = 10_000;

/// The text of an answer that did not come.
const NO_ANSWER: &str = "no answer in time";

/// How often each kind of operation was compared, and how many of those were refused by both.
#[derive(Default)]
pub(crate) struct Tally(BTreeMap<String, (u64, u64)>);

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<16} {:>9} {:>9}", "operation", "compared", "refused")?;
        for (name, (all, refused)) in &self.0 {
            writeln!(f, "{name:<16} {all:>9} {refused:>9}")?;
        }
        Ok(())
    }
}

/// Runs the comparison.
pub(crate) async fn run(
    reference: &str,
    subject: &str,
    operations: u64,
    seed: u64,
) -> Result<Tally, Box<Difference>> {
    let mut pair = (Server::connect(reference).await?, Server::connect(subject).await?);
    let (mut generator, mut now, mut tally) = (Generator::new(seed), Now::default(), Tally::default());
    let mut before = VecDeque::new();
    let bar = ProgressBar::new(operations).with_style(
        ProgressStyle::with_template("{bar:40} {pos}/{len} {per_sec} {eta}")
            .expect("a template of this file"),
    );
    let mut old = 0;
    for number in 0..operations {
        old += 1;
        // A watch in between would miss what the other server's tells.
        if old > OPERATIONS_OF_CONNECTION && pair.0.watchers.is_none() && pair.1.watchers.is_none() {
            (pair.0, pair.1) = (pair.0.anew(reference).await?, pair.1.anew(subject).await?);
            old = 0;
        }
        let (operation, who) = generator.next(now);
        let text = format!("{operation:?} by {who:?}");
        let answers = tokio::join!(pair.0.ask(&operation, who), pair.1.ask(&operation, who));
        let no_answer = |answer: &Answer| matches!(answer, Answer::Error { text, .. } if text == NO_ANSWER);
        if answers.0 != answers.1 || no_answer(&answers.0) {
            bar.abandon();
            let (reference, subject) = (format!("{:?}", answers.0), format!("{:?}", answers.1));
            let (reference, subject) = (reference.replace("\\n", "\n"), subject.replace("\\n", "\n"));
            return Err(Box::new(Difference {
                number,
                operation: text,
                reference,
                subject,
                before: before.into(),
            }));
        }
        if matches!(answers.0, Answer::Response(_)) {
            generator.done(&operation);
        }
        let name = text.split(['(', ' ']).next().unwrap_or_default().to_owned();
        let counts = tally.0.entry(name).or_default();
        counts.0 += 1;
        counts.1 += u64::from(matches!(answers.0, Answer::Error { .. }));
        now = pair.0.now;
        before.push_back(text);
        if before.len() > BEFORE_MAX {
            before.pop_front();
        }
        bar.inc(1);
    }
    bar.finish();
    Ok(tally)
}

impl From<tonic::Status> for Box<Difference> {
    fn from(status: tonic::Status) -> Self {
        Box::new(Difference {
            number: 0,
            operation: "connect".into(),
            reference: status.to_string(),
            subject: String::new(),
            before: Vec::new(),
        })
    }
}

struct Server {
    channel: Channel,
    kv: KvClient<Channel>,
    lease: LeaseClient<Channel>,
    maintenance: MaintenanceClient<Channel>,
    auth: AuthClient<Channel>,
    /// The tokens that users got last.
    tokens: BTreeMap<&'static str, String>,
    watchers: Option<Watchers>,
    now: Now,
}

impl Server {
    async fn connect(url: &str) -> Result<Self, tonic::Status> {
        let endpoint = Channel::from_shared(url.to_owned())
            .map_err(|error| tonic::Status::invalid_argument(error.to_string()))?;
        let channel = endpoint
            .connect()
            .await
            .map_err(|error| tonic::Status::unavailable(format!("{url}: {error}")))?;
        Ok(Self {
            kv: KvClient::new(channel.clone()).max_decoding_message_size(usize::MAX),
            lease: LeaseClient::new(channel.clone()),
            maintenance: MaintenanceClient::new(channel.clone()),
            auth: AuthClient::new(channel.clone()),
            tokens: BTreeMap::new(),
            channel,
            watchers: None,
            now: Now { revision: 1, compacted: 0 },
        })
    }

    /// The same on a new connection.
    async fn anew(&self, url: &str) -> Result<Self, tonic::Status> {
        Ok(Self { tokens: self.tokens.clone(), now: self.now, ..Self::connect(url).await? })
    }

    async fn ask(&mut self, operation: &Operation, who: Who) -> Answer {
        let answer = tokio::time::timeout(PATIENCE, self.ask_patiently(operation, who)).await;
        answer
            .unwrap_or_else(|_| Answer::Error { code: tonic::Code::DeadlineExceeded, text: NO_ANSWER.into() })
    }

    async fn ask_patiently(&mut self, operation: &Operation, who: Who) -> Answer {
        let sign = self.signer(who);
        match operation.clone() {
            Operation::Range(request) => {
                Answer::of(self.kv.range(sign.request(request)).await, |r| &mut r.header)
            }
            Operation::RangeStream(request) => self.range_stream(sign.request(request)).await,
            Operation::Put(request) => {
                let answer = self.kv.put(sign.request(request)).await;
                self.saw(answer.as_ref().ok().and_then(|r| r.get_ref().header.as_ref()));
                Answer::of(answer, |r| &mut r.header)
            }
            Operation::Delete(request) => {
                let answer = self.kv.delete_range(sign.request(request)).await;
                self.saw(answer.as_ref().ok().and_then(|r| r.get_ref().header.as_ref()));
                Answer::of(answer, |r| &mut r.header)
            }
            Operation::Txn(request) => {
                let answer = self.kv.txn(sign.request(request)).await;
                self.saw(answer.as_ref().ok().and_then(|r| r.get_ref().header.as_ref()));
                Answer::of(answer, |r| &mut r.header)
            }
            Operation::Compact(request) => {
                let revision = request.revision;
                let answer = self.kv.compact(sign.request(request)).await;
                if answer.is_ok() {
                    self.now.compacted = revision;
                }
                Answer::of(answer, |r| &mut r.header)
            }
            Operation::Grant(request) => {
                Answer::of(self.lease.lease_grant(sign.request(request)).await, |r| &mut r.header)
            }
            Operation::Revoke(request) => {
                Answer::of(self.lease.lease_revoke(sign.request(request)).await, |r| &mut r.header)
            }
            Operation::TimeToLive(request) => {
                let mut answer = self.lease.lease_time_to_live(sign.request(request)).await;
                if let Ok(response) = &mut answer {
                    // Seconds may pass between the two servers' answers.
                    let (left, whole) = (response.get_ref().ttl, response.get_ref().granted_ttl);
                    // etcd keeps them in a map, and tells them in no order.
                    response.get_mut().keys.sort();
                    response.get_mut().ttl = if left > 0 && (whole - left) < 3_600 { whole } else { left };
                }
                Answer::of(answer, |r| &mut r.header)
            }
            Operation::KeepAlive(request) => self.keep_alive(sign.request(tokio_stream::once(request))).await,
            Operation::Leases => {
                let mut answer = self.lease.lease_leases(sign.request(pb::LeaseLeasesRequest {})).await;
                if let Ok(response) = &mut answer {
                    // By time of expiry, which two servers measure apart.
                    response.get_mut().leases.sort_by_key(|lease| lease.id);
                }
                Answer::of(answer, |r| &mut r.header)
            }
            Operation::HashKv(request) => {
                Answer::of(self.maintenance.hash_kv(sign.request(request)).await, |r| &mut r.header)
            }
            Operation::Alarms => {
                Answer::of(self.maintenance.alarm(sign.request(pb::AlarmRequest::default())).await, |r| {
                    &mut r.header
                })
            }
            Operation::Watch(request) => {
                self.watch(request, &sign).await.unwrap_or_else(|status| Answer::from(&status))
            }
            Operation::CompareWatchers => {
                self.compare_watchers(&sign).await.unwrap_or_else(|status| Answer::from(&status))
            }
            Operation::Glance(request) => {
                self.glance(request, &sign).await.unwrap_or_else(|status| Answer::from(&status))
            }
            Operation::Auth(act) => self.act(act, &sign).await,
        }
    }

    fn saw(&mut self, header: Option<&pb::ResponseHeader>) {
        self.now.revision = self.now.revision.max(header.map_or(0, |header| header.revision));
    }

    async fn range_stream(&mut self, request: tonic::Request<pb::RangeRequest>) -> Answer {
        let mut stream = match self.kv.range_stream(request).await {
            Ok(stream) => stream.into_inner(),
            Err(status) => return Answer::from(&status),
        };
        let mut whole = pb::RangeResponse::default();
        loop {
            match stream.message().await {
                Ok(Some(chunk)) => {
                    let chunk = chunk.range_response.unwrap_or_default();
                    whole.kvs.extend(chunk.kvs);
                    whole.header = chunk.header.or(whole.header.take());
                    whole.more |= chunk.more;
                    whole.count += chunk.count;
                }
                Ok(None) => return Answer::of(Ok(tonic::Response::new(whole)), |r| &mut r.header),
                Err(status) => return Answer::from(&status),
            }
        }
    }

    async fn keep_alive(
        &mut self,
        request: tonic::Request<tokio_stream::Once<pb::LeaseKeepAliveRequest>>,
    ) -> Answer {
        let stream = self.lease.lease_keep_alive(request).await;
        match stream {
            Err(status) => Answer::from(&status),
            Ok(stream) => match stream.into_inner().message().await {
                Err(status) => Answer::from(&status),
                Ok(None) => Answer::Response("the stream ended".into()),
                Ok(Some(message)) => Answer::of(Ok(tonic::Response::new(message)), |r| &mut r.header),
            },
        }
    }

    async fn watch(
        &mut self,
        request: pb::WatchCreateRequest,
        sign: &Signer,
    ) -> Result<Answer, tonic::Status> {
        if self.watchers.is_none() {
            self.watchers = Some(Watchers::open(self.channel.clone(), |to| sign.sign(to)).await?);
        }
        if let Some(watchers) = self.watchers.as_mut().filter(|watchers| watchers.count() < WATCHERS_MAX) {
            watchers.create(request).await?;
        }
        Ok(Answer::Response("watching".into()))
    }

    async fn compare_watchers(&mut self, sign: &Signer) -> Result<Answer, tonic::Status> {
        let Some(watchers) = self.watchers.take() else { return Ok(Answer::Response("no watchers".into())) };
        let put = pb::PutRequest { key: SENTINEL.into(), ..Default::default() };
        let header = self.kv.put(sign.request(put)).await?.into_inner().header.unwrap_or_default();
        self.saw(Some(&header));
        Ok(Answer::Response(watchers.finish(header.revision).await?))
    }

    /// A watcher on a stream of its own, and its first answer.
    async fn glance(
        &mut self,
        request: pb::WatchCreateRequest,
        sign: &Signer,
    ) -> Result<Answer, tonic::Status> {
        use pb::watch_request::RequestUnion;
        let request = pb::WatchRequest { request_union: Some(RequestUnion::CreateRequest(request)) };
        // The stream of requests stays open until the answer is there.
        let requests = tokio_stream::once(request).chain(tokio_stream::pending());
        let mut client = WatchClient::new(self.channel.clone()).max_decoding_message_size(usize::MAX);
        let mut answers = client.watch(sign.request(requests)).await?.into_inner();
        let first = answers.message().await?.unwrap_or_default();
        Ok(Answer::of(Ok(tonic::Response::new(first)), |r| &mut r.header))
    }

    /// Whose requests are signed how.
    fn signer(&self, who: Who) -> Signer {
        Signer(match who {
            Who::Nobody => None,
            Who::User(name) => self.tokens.get(name).cloned(),
            Who::Forger => Some("forged.7".into()),
        })
    }

    async fn act(&mut self, act: Act, sign: &Signer) -> Answer {
        let auth = &mut self.auth;
        macro_rules! answer {
            ($method:ident, $request:expr) => {
                Answer::of(auth.$method(sign.request($request)).await, |r| &mut r.header)
            };
        }
        match act {
            Act::Enable => answer!(auth_enable, pb::AuthEnableRequest {}),
            Act::Disable => answer!(auth_disable, pb::AuthDisableRequest {}),
            Act::Status => answer!(auth_status, pb::AuthStatusRequest {}),
            Act::Login(user, password) => {
                let ask = pb::AuthenticateRequest { name: user.into(), password: password.into() };
                let mut answer = auth.authenticate(sign.request(ask)).await;
                if let Ok(response) = &mut answer {
                    // Each server's tokens are its own.
                    self.tokens.insert(user, std::mem::take(&mut response.get_mut().token));
                }
                Answer::of(answer, |r| &mut r.header)
            }
            Act::UserAdd(request) => answer!(user_add, request),
            Act::UserDelete(name) => answer!(user_delete, pb::AuthUserDeleteRequest { name: name.into() }),
            Act::UserGet(name) => answer!(user_get, pb::AuthUserGetRequest { name: name.into() }),
            Act::UserList => answer!(user_list, pb::AuthUserListRequest {}),
            Act::ChangePassword(name, password) => {
                let (name, password) = (name.into(), password.into());
                let request = pb::AuthUserChangePasswordRequest { name, password, ..Default::default() };
                answer!(user_change_password, request)
            }
            Act::GrantRole(user, role) => {
                answer!(
                    user_grant_role,
                    pb::AuthUserGrantRoleRequest { user: user.into(), role: role.into() }
                )
            }
            Act::RevokeRole(name, role) => {
                answer!(
                    user_revoke_role,
                    pb::AuthUserRevokeRoleRequest { name: name.into(), role: role.into() }
                )
            }
            Act::RoleAdd(name) => answer!(role_add, pb::AuthRoleAddRequest { name: name.into() }),
            Act::RoleDelete(role) => answer!(role_delete, pb::AuthRoleDeleteRequest { role: role.into() }),
            Act::RoleGet(role) => {
                let mut answer =
                    auth.role_get(sign.request(pb::AuthRoleGetRequest { role: role.into() })).await;
                let perm = answer.as_mut().ok().map(|response| &mut response.get_mut().perm);
                // See accounts.rs.
                if let Some(perm) = perm.filter(|perm| perm.len() > STABLE_MAX) {
                    perm.sort_by(|a, b| (&a.key, &a.range_end).cmp(&(&b.key, &b.range_end)));
                }
                Answer::of(answer, |r| &mut r.header)
            }
            Act::RoleList => answer!(role_list, pb::AuthRoleListRequest {}),
            Act::GrantPermission(name, perm) => {
                let name = name.into();
                answer!(role_grant_permission, pb::AuthRoleGrantPermissionRequest { name, perm })
            }
            Act::RevokePermission(role, key, range_end) => {
                let request = pb::AuthRoleRevokePermissionRequest { role: role.into(), key, range_end };
                answer!(role_revoke_permission, request)
            }
        }
    }
}

/// Up to so many things Go's sort leaves equal ones in their order.
const STABLE_MAX: usize = 12;

/// Puts a token on requests, or none.
struct Signer(Option<String>);

impl Signer {
    fn sign(&self, metadata: &mut MetadataMap) {
        let token = self.0.as_deref().and_then(|token| token.parse().ok());
        if let Some(token) = token {
            metadata.insert("token", token);
        }
    }

    fn request<T>(&self, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        self.sign(request.metadata_mut());
        request
    }
}
