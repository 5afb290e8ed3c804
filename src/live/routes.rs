//! From what is asked to who answers.

use super::{
    api, clock::now, guard::Guard, handshake, healthz, listener::Shared, pages, process,
    request::Head, response::Response,
};

/// What is to be done with a connection.
pub(super) enum Route {
    /// It is answered.
    Response(Response),
    /// It becomes a WebSocket, once this has been sent.
    Upgrade(String),
}

pub(super) fn route(head: &Head, shared: &Shared<'_>) -> Route {
    let guard = Guard::new(shared.settings);
    let response = if head.path == "/ws" {
        match upgrade(head, &guard) {
            Ok(accepted) => return Route::Upgrade(accepted),
            Err(refusal) => refusal,
        }
    } else {
        respond(head, &guard, shared).unwrap_or_else(|refusal| refusal)
    };
    Route::Response(match guard.listed_origin(head) {
        Some(origin) => response.with("Access-Control-Allow-Origin", origin).with("Vary", "Origin"),
        None => response,
    })
}

fn upgrade(head: &Head, guard: &Guard<'_>) -> Result<String, Response> {
    guard.check_origin(head)?;
    check_method(head, &["GET"])?;
    guard.check_token(head)?;
    handshake::accept(head)
}

fn respond(head: &Head, guard: &Guard<'_>, shared: &Shared<'_>) -> Result<Response, Response> {
    guard.check_origin(head)?;
    check_method(head, &["GET", "HEAD"])?;
    if let Some(page) = pages::page(&head.path) {
        return Ok(page);
    }
    guard.check_token(head)?;
    match head.path.as_str() {
        "/healthz" => Ok(healthz::page(shared)),
        // A browser tells each 503 as an error of the page.
        "/api/v1/health" => Ok(healthz::page(shared).into_success()),
        "/metrics" => Ok(metrics(shared)),
        "/api/v1/instruments" => api::instruments(head, shared),
        "/api/v1/quotes" => api::quotes(head, shared),
        "/api/v1/spreads" => api::spreads(head, shared),
        "/api/v1/history" => api::history(head, shared),
        _ => Err(Response::refusal(
            404,
            "there are /, /ws, /healthz, /metrics and /api/v1/ with health, instruments, quotes, \
             spreads and history",
        )),
    }
}

fn check_method(head: &Head, methods: &[&str]) -> Result<(), Response> {
    if methods.contains(&head.method.as_str()) {
        return Ok(());
    }
    let allowed = methods.join(", ");
    Err(Response::refusal(405, &format!("only {allowed}")).with("Allow", allowed))
}

/// The page, with what is only looked at when somebody asks.
fn metrics(shared: &Shared<'_>) -> Response {
    let now = now();
    let uptime = shared.memory.lock().started.elapsed().as_secs_f64();
    for &venue in &shared.venues {
        let venue = shared.metrics.venue(venue);
        let age = venue.health.last_heard().map_or(uptime, |it| healthz::seconds_since(it, now));
        venue.last_message_age.set(age);
    }
    process::sample(&shared.metrics.process, shared.storage);
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    Response::new(200, kind, shared.metrics.page().into_bytes()).with("Cache-Control", "no-store")
}
