//! Simulated exchanges and a pipeline that collects from them, in one process.

use std::{
    fmt::Write as _,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use spread_aggregator::{
    config::{self, Plan},
    market::Venue,
    metrics::{Metrics, VenueMetrics},
    pipeline::{self, PipelineError, Summary},
    simulator::{Fault, Options, Simulator},
    stop::Stop,
};

/// Longer than anything here takes, however loaded the machine is.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Waits until `holds`.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        thread::park_timeout(Duration::from_millis(5));
    }
}

/// Has the venues send no more, and waits until nothing is under way.
pub(crate) fn hush(simulator: &Simulator, venues: &[Venue]) {
    simulator.set_rate(0.0);
    let (mut before, mut same) = (0, 0);
    eventually("nothing is under way", || {
        let now = venues.iter().map(|it| simulator.sent(*it).frames).sum::<u64>();
        same = if now == before { same + 1 } else { 0 };
        before = now;
        20 < same
    });
}

/// Has the venues end all connections, and refuse new ones.
pub(crate) fn hang_up(simulator: &Simulator, venues: &[Venue]) {
    for &venue in venues {
        simulator.inject(venue, Fault::Http(503));
        simulator.inject(venue, Fault::Eof);
    }
}

/// The configuration that collects from all that `simulator` serves, as text: `top` goes after
/// the storage's folder, `each` to each of them.
pub(crate) fn config(
    simulator: &Simulator,
    venues: &[Venue],
    dir: &Path,
    top: &str,
    each: &str,
) -> String {
    // Tests run side by side, and port 8080 is one.
    let live = if top.contains("[live]") { "" } else { "[live]\nlisten = \"127.0.0.1:0\"" };
    let mut text = format!("[storage]\ndir = {:?}\n{top}\n{live}\n", dir.display().to_string());
    for &venue in venues {
        let (ws, rest) = (simulator.ws_url(venue), simulator.rest_url(venue));
        write!(
            text,
            "[[exchange]]\nname = \"{}\"\nmarket = \"{}\"\nws_url = \"{ws}\"\n\
             rest_url = \"{rest}\"\nmin_quote_volume = 0\n{each}\n",
            venue.exchange, venue.market
        )
        .unwrap();
    }
    text
}

/// A pipeline that runs, and what it runs against.
pub(crate) struct World<'a> {
    pub(crate) simulator: &'a Simulator,
    pub(crate) metrics: &'a Metrics,
    pub(crate) stop: &'a Stop,
    pub(crate) venues: &'a [Venue],
}

impl World<'_> {
    pub(crate) fn venue(&self, venue: Venue) -> VenueMetrics {
        self.metrics.venue(venue)
    }

    /// Events of a venue that have been decoded so far.
    pub(crate) fn decoded(&self, venue: Venue) -> u64 {
        let it = self.venue(venue);
        it.quotes.get() + it.trades.get()
    }

    /// Waits until each venue has delivered `more` events than it had.
    pub(crate) fn until_all_deliver(&self, more: u64) {
        for &venue in self.venues {
            let before = self.decoded(venue);
            eventually(&format!("{venue} delivers"), || before + more <= self.decoded(venue));
        }
    }
}

/// What is simulated, and how it is collected.
pub(crate) struct Setting<'a> {
    pub(crate) options: Options,
    pub(crate) top: &'a str,
    pub(crate) each: &'a str,
}

impl Setting<'_> {
    /// Runs the pipeline while `test` looks on, then stops it.
    pub(crate) fn run(
        self,
        dir: &Path,
        test: impl FnOnce(&World<'_>),
    ) -> Result<Summary, PipelineError> {
        self.run_with(dir, |plan, metrics, stop| pipeline::run(&plan, metrics, stop), test)
    }

    /// [`run`](Self::run) with another way to run a plan.
    pub(crate) fn run_with(
        self,
        dir: &Path,
        run: impl FnOnce(Plan, &Metrics, &Stop) -> Result<Summary, PipelineError> + Send,
        test: impl FnOnce(&World<'_>),
    ) -> Result<Summary, PipelineError> {
        let venues = self.options.venues.clone();
        let simulator = Simulator::bind(self.options).unwrap();
        let text = config(&simulator, &venues, dir, self.top, self.each);
        let plan = config::parse(&text, Path::new("test.toml")).unwrap();
        let (metrics, stop, closing_time) = (Metrics::new(), Stop::default(), Stop::default());
        thread::scope(|scope| {
            let (metrics, stop) = (&metrics, &stop);
            // Also when the test panics, or nobody would ever hear of it.
            let _closing = RequestOnDrop(&closing_time);
            scope.spawn(|| simulator.serve(&closing_time));
            let running = scope.spawn(move || run(plan, metrics, stop));
            {
                let _stopping = RequestOnDrop(stop);
                test(&World { simulator: &simulator, metrics, stop, venues: &venues });
            }
            running.join().expect("the pipeline does not panic")
        })
    }
}

/// Requests a stop on every way out of a test.
pub(crate) struct RequestOnDrop<'a>(pub(crate) &'a Stop);

impl Drop for RequestOnDrop<'_> {
    fn drop(&mut self) {
        self.0.request();
    }
}
