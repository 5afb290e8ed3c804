//! What clients ask of the hub, and what they are told of it.

use std::{collections::HashSet, time::Instant};

use super::{Command, Desk};
use crate::{
    live::{
        outbox::{Item, Kind},
        protocol::{Answer, Op, Request, Topic, Understood},
        subscriber::{INTERVALS_MAX, Subscriber, Told},
    },
    market::Event,
    spreads::Watch,
};

/// The most crosses that a new subscriber is told at once.
const SNAPSHOT_CROSSES_MAX: usize = 100;

/// What a client is told of what it asked.
pub(super) struct Reply {
    client: u32,
    /// The request, or why it is none or cannot be done.
    to: Result<Request, String>,
}

impl Desk<'_> {
    pub(super) fn obey(&mut self, command: Command) -> Option<Reply> {
        match command {
            Command::Join(client, outbox) => {
                self.clients.insert(client, Subscriber::new(outbox));
                None
            }
            Command::Leave(client) => {
                for it in &mut self.interest {
                    it.leave(client);
                }
                self.clients.remove(&client);
                None
            }
            Command::Refuse(client, why) => Some(Reply { client, to: Err(why) }),
            Command::Request(client, request) => {
                let done = match request.op {
                    Op::Subscribe => self.subscribe(client, &request),
                    Op::Unsubscribe => self.unsubscribe(client, &request),
                };
                Some(Reply { client, to: done.map(|()| request) })
            }
        }
    }

    fn subscribe(&mut self, client: u32, request: &Request) -> Result<(), String> {
        let Some(subscriber) = self.clients.get_mut(&client) else { return Ok(()) };
        let Request { topic, symbols, venues, interval_ms, .. } = request;
        let compares = matches!(topic, Topic::Spreads | Topic::Screener);
        if compares && self.ends.spreads.is_none() {
            return Err("spreads are not computed: enabled = false in [spreads]".to_owned());
        }
        if !subscriber.allow(*interval_ms, Instant::now()) {
            return Err(format!("interval_ms: {INTERVALS_MAX} different ones are the most"));
        }
        let max = self.ends.names_max;
        let interest = &mut self.interest[*topic as usize];
        interest
            .subscribe(client, symbols.as_deref(), *venues, *interval_ms, max)
            .map_err(|names| too_many(names, max))
    }

    fn unsubscribe(&mut self, client: u32, request: &Request) -> Result<(), String> {
        let Some(subscriber) = self.clients.get_mut(&client) else { return Ok(()) };
        let Request { topic, symbols, venues, .. } = request;
        let max = self.ends.names_max;
        let interest = &mut self.interest[*topic as usize];
        interest
            .unsubscribe(client, symbols.as_deref(), *venues, max)
            .map_err(|names| too_many(names, max))?;
        let encoder = &self.encoder;
        subscriber.forget(|told| {
            let ([symbol, _], of) = encoder.about(told);
            told.topic() == *topic
                && of.without(*venues).is_empty()
                && symbols.as_ref().is_none_or(|it| it.iter().any(|it| it == symbol))
        });
        Ok(())
    }

    pub(super) fn reply(&mut self, reply: &Reply) {
        let Some(subscriber) = self.clients.get(&reply.client) else { return };
        let request = match &reply.to {
            Ok(request) => request,
            Err(why) => {
                let dropped = subscriber.outbox.answer(&Answer::Error { detail: why });
                self.ends.metrics.dropped.inc_by(dropped);
                return;
            }
        };
        let dropped = subscriber.outbox.answer(&match request.op {
            Op::Subscribe => {
                let named = request.symbols.iter().flatten().map(String::as_str);
                let unknown = named.filter(|it| !self.encoder.knows(it)).collect();
                Answer::Subscribed(Understood::new(request, unknown))
            }
            Op::Unsubscribe => Answer::Unsubscribed(Understood::new(request, Vec::new())),
        });
        self.ends.metrics.dropped.inc_by(dropped);
        if request.op == Op::Subscribe {
            self.show(reply.client, request);
        }
    }

    /// Tells a new subscriber what is known already: the latest quotes of the symbols it names, and
    /// the crosses that earn most.
    fn show(&mut self, client: u32, request: &Request) {
        let Some(spreads) = self.ends.spreads else { return };
        let known: Vec<_> = match (request.topic, &request.symbols) {
            (Topic::Quotes, Some(symbols)) => symbols
                .iter()
                .flat_map(|it| spreads.lock().quotes_of(it))
                .map(|it| Told::Event(Event::Quote(it.quote)))
                .collect(),
            (Topic::Screener, symbols) => {
                let best = spreads.lock().best().into_iter().map(Told::Best);
                self.encoder.catch_up();
                let named = |it: &Told| {
                    let ([buy, sell], _) = self.encoder.about(it);
                    symbols.as_ref().is_none_or(|it| it.iter().any(|it| it == buy || it == sell))
                };
                best.filter(named).collect()
            }
            (Topic::Spreads, symbols) => {
                let named: Option<HashSet<_>> =
                    symbols.as_ref().map(|it| it.iter().map(String::as_str).collect());
                let crosses = spreads.lock().crosses(SNAPSHOT_CROSSES_MAX, |buy, sell| {
                    named.as_ref().is_none_or(|named| {
                        [buy, sell].iter().any(|it| named.contains(it.symbol.as_str()))
                    })
                });
                crosses.into_iter().map(Told::Cross).collect()
            }
            _ => return,
        };
        self.encoder.catch_up();
        let encoder = &self.encoder;
        let wanted = known.into_iter().filter(|it| encoder.about(it).1.meets(request.venues));
        let item = |it| Item { frame: encoder.frame(&it), kind: Kind::Message(None) };
        let items: Vec<_> = wanted.map(item).collect();
        if let Some(subscriber) = self.clients.get_mut(&client) {
            let dropped = subscriber.outbox.send(items);
            self.ends.metrics.dropped.inc_by(dropped);
        }
    }

    /// Has what is wanted sent here, and nothing else.
    pub(super) fn listen(&mut self) {
        let is_any = |topic: Topic| self.interest[topic as usize].is_any();
        self.ends.events.set_open(is_any(Topic::Quotes) || is_any(Topic::Trades));
        let spreads = &self.interest[Topic::Spreads as usize];
        if let (Some(engine), true) = (self.ends.spreads, spreads.is_any()) {
            let watch = match spreads.symbols() {
                None => Watch::All,
                Some(symbols) => Watch::Only(symbols.map(str::to_owned).collect()),
            };
            engine.lock().watch(&watch);
        }
        self.ends.crosses.set_open(spreads.is_any());
    }
}

fn too_many(names: usize, max: usize) -> String {
    format!(
        "that would be {names} symbols, and {max} are the most (max_subscriptions in [live]): \
         leave symbols out for all of them"
    )
}
