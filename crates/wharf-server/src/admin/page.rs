//! `GET /`: a plain page that shows where things are.

use axum::response::Html;

/// The page. It holds nothing that needs a token.
pub(super) async fn page() -> Html<&'static str> {
    Html(include_str!("page.html"))
}
