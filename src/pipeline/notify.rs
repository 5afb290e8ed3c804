//! What the service manager is told: systemd's `sd_notify`, a datagram to the socket that it names.
//! Nothing is told where there is no manager.

use sd_notify::NotifyState;

/// All threads run.
pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// Whoever takes in events has done so lately.
pub(super) fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// The configuration is being read again.
pub(super) fn reloading() {
    // The time is what `Type=notify-reload` wants with it.
    match NotifyState::monotonic_usec_now() {
        Ok(time) => tell(&[NotifyState::Reloading, time]),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

/// Queues are drained and files closed from here on.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(err) = sd_notify::notify(state) {
        log::debug!("the service manager cannot be told: {err}");
    }
}
