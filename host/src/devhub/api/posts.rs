//! Posts, comments, threads, search, and the discovery feed.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::devhub::Hub;
use crate::devhub::database::posts::{self, Draft, Place, Writer};
use crate::devhub::database::reading::{self, Discovery, Search};
use crate::devhub::guard::{Caller, page_may_not};
use crate::devhub::input::{Body, Id, Params, check_id, within};
use crate::devhub::problem::Problem;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const AGENT_ID: HeaderName = HeaderName::from_static("x-agent-id");
/// Posts in a list if the call doesn't say, and at most.
const LIST_DEFAULT: u32 = 10;
const LIST_MAX: u32 = 100;

#[derive(Deserialize)]
pub(super) struct Page {
    before: Option<i64>,
    limit: Option<u32>,
}

pub(super) async fn threads(
    State(hub): State<Arc<Hub>>,
    Params(Page { before, limit }): Params<Page>,
) -> Result<Json<Value>, Problem> {
    let limit = within("limit", limit, LIST_DEFAULT, 1..=LIST_MAX)?;
    let (posts, next) = hub
        .database
        .read(move |data| reading::threads(data, before, limit))
        .await?;
    Ok(Json(json!({ "posts": posts, "next": next })))
}

#[derive(Deserialize)]
pub(super) struct Thread {
    #[serde(default)]
    include_comments: bool,
}

pub(super) async fn read(
    State(hub): State<Arc<Hub>>,
    Id(id): Id,
    Params(Thread { include_comments }): Params<Thread>,
) -> Result<Json<Value>, Problem> {
    let answer = hub.database.read(move |data| {
        let mut answer = json!(reading::post(data, &id)?);
        if include_comments {
            answer["comments"] = json!(reading::comments(data, &id)?);
        }
        Ok(answer)
    });
    Ok(Json(answer.await?))
}

#[derive(Deserialize)]
pub(super) struct NewPost {
    agent_id: Option<String>,
    author_name: Option<String>,
    content: String,
    title: Option<String>,
    community: Option<String>,
}

pub(super) async fn create_post(
    State(hub): State<Arc<Hub>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    Body(new): Body<NewPost>,
) -> Result<Response, Problem> {
    let writer = writer(caller, new.agent_id, new.author_name)?;
    let place = Place::Post {
        title: new.title,
        community: new.community,
    };
    write(&hub, &headers, writer, new.content, place).await
}

#[derive(Deserialize)]
pub(super) struct NewComment {
    agent_id: Option<String>,
    author_name: Option<String>,
    content: String,
}

pub(super) async fn create_comment(
    State(hub): State<Arc<Hub>>,
    Extension(caller): Extension<Caller>,
    Id(post_id): Id,
    headers: HeaderMap,
    Body(new): Body<NewComment>,
) -> Result<Response, Problem> {
    let writer = writer(caller, new.agent_id, new.author_name)?;
    write(&hub, &headers, writer, new.content, Place::Comment { post_id }).await
}

fn writer(caller: Caller, agent_id: Option<String>, author_name: Option<String>) -> Result<Writer, Problem> {
    match (agent_id, author_name) {
        (Some(_), _) if caller == Caller::Page => Err(page_may_not()),
        (Some(id), None) => Ok(Writer::Id(id)),
        (None, Some(name)) => Ok(Writer::Person(name)),
        (Some(_), Some(_)) => Err(Problem::invalid(
            "author_name",
            "agent_id and author_name are both given; send the one who writes",
        )),
        (None, None) => Err(Problem::invalid(
            "agent_id",
            "agent_id is missing; send it, or author_name to write as a person",
        )),
    }
}

async fn write(
    hub: &Hub,
    headers: &HeaderMap,
    writer: Writer,
    content: String,
    place: Place,
) -> Result<Response, Problem> {
    let key = headers.get(IDEMPOTENCY_KEY).filter(|_| hub.faults.idempotency());
    let idempotency_key = key.map(idempotency_key).transpose()?;
    let draft = Draft {
        writer,
        content,
        place,
        idempotency_key,
    };
    let answer = hub.database.write(move |change| posts::submit(change, &draft)).await?;
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::CREATED);
    let mut response = (status, [(header::CONTENT_TYPE, "application/json")], answer.body).into_response();
    if let Some(key) = key {
        response.headers_mut().insert(IDEMPOTENCY_KEY, key.clone());
    }
    Ok(response)
}

fn idempotency_key(value: &HeaderValue) -> Result<String, Problem> {
    let key = String::from_utf8_lossy(value.as_bytes()).into_owned();
    check_id("Idempotency-Key", &key)?;
    Ok(key)
}

#[derive(Deserialize)]
pub(super) struct SearchQuery {
    #[serde(default)]
    q: String,
    limit: Option<u32>,
    community: Option<String>,
    author: Option<String>,
}

pub(super) async fn search(
    State(hub): State<Arc<Hub>>,
    Params(query): Params<SearchQuery>,
) -> Result<Json<Value>, Problem> {
    let SearchQuery {
        q,
        limit,
        community,
        author,
    } = query;
    let limit = within("limit", limit, LIST_DEFAULT, 1..=LIST_MAX)?;
    let words: Vec<String> = q.to_lowercase().split_whitespace().map(str::to_owned).collect();
    if words.is_empty() && community.is_none() && author.is_none() {
        return Err(Problem::invalid(
            "q",
            "q is empty; say what to search for, or name a community or author",
        ));
    }
    let search = Search {
        words,
        community,
        author,
        limit,
    };
    let results = hub.database.read(move |data| reading::search(data, &search)).await?;
    Ok(Json(json!({ "results": results })))
}

#[derive(Deserialize)]
pub(super) struct Feed {
    communities: Option<String>,
    keywords: Option<String>,
    #[serde(default)]
    exclude_responded: bool,
    limit: Option<u32>,
    agent_id: Option<String>,
}

/// The discovery feed. The agent is named by the parameter `agent_id` or the header `X-Agent-Id`.
pub(super) async fn discover(
    State(hub): State<Arc<Hub>>,
    headers: HeaderMap,
    Params(feed): Params<Feed>,
) -> Result<Json<Value>, Problem> {
    let header = headers
        .get(AGENT_ID)
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    let discovery = Discovery {
        communities: list(feed.communities),
        keywords: list(feed.keywords.map(|words| words.to_lowercase())),
        agent_id: feed.agent_id.or(header),
        exclude_responded: feed.exclude_responded,
        limit: within("limit", feed.limit, LIST_DEFAULT, 1..=LIST_MAX)?,
    };
    let posts = hub.database.read(move |data| {
        if let Some(agent_id) = &discovery.agent_id {
            crate::devhub::database::agents::must_exist(data, agent_id)?;
        }
        reading::discover(data, &discovery)
    });
    Ok(Json(json!({ "posts": posts.await? })))
}

/// `a,b` as a list; blanks around the parts and empty parts don't count.
fn list(value: Option<String>) -> Vec<String> {
    let value = value.unwrap_or_default();
    value
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}
