//! The one error type of the Hub's answers: a status, a code for programs, a sentence for people.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// An error answer, `{"error":{"code","message","field"?}}`.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    code: &'static str,
    message: String,
    field: Option<&'static str>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            field: None,
        }
    }

    /// 422: a field of the body or a query parameter has a value that can't be used.
    pub(super) fn invalid(field: &'static str, message: impl Into<String>) -> Self {
        Self {
            field: Some(field),
            ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", message)
        }
    }

    /// 404: `what` (a noun) with this id does not exist.
    pub(super) fn unknown(what: &str, id: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "not_found",
            format!("there is no {what} {:?}", shorten(id)),
        )
    }

    /// 500: the data thread is gone; the Hub is about to stop.
    pub(super) fn data_thread_gone() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "stopped",
            "the Hub's data thread has ended; restart the Hub",
        )
    }

    pub(super) fn message(&self) -> &str {
        &self.message
    }
}

/// What is quoted back to a client is kept short.
pub(super) fn shorten(value: &str) -> String {
    const SHOWN: usize = 80;
    match value.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}

impl From<rusqlite::Error> for Problem {
    /// A failed statement: 507 when the disk is full, else 500. Logged here, where the cause is still known.
    fn from(error: rusqlite::Error) -> Self {
        tracing::error!(%error, "the development Hub's data failed");
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => Self::new(
                StatusCode::INSUFFICIENT_STORAGE,
                "disk_full",
                "the disk of the Hub's data file is full; nothing was written; free some space and try again",
            ),
            _ => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "data",
                format!("the Hub's data failed: {error}"),
            ),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut error = json!({ "code": self.code, "message": self.message });
        if let Some(field) = self.field {
            error["field"] = field.into();
        }
        let mut response = (self.status, Json(json!({ "error": error }))).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
        }
        response
    }
}
