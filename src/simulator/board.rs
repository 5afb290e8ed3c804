//! The faults that hold at a venue at present.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::fault::Fault;

/// The faults of one venue, shared by its connections.
#[derive(Debug, Default)]
pub(super) struct Board {
    lasting: Mutex<Vec<Fault>>,
    /// Changes whenever `lasting` does.
    epoch: AtomicU64,
    drops: AtomicU64,
    eofs: AtomicU64,
    closes: AtomicU64,
    notices: AtomicU64,
}

/// How often each one-shot fault has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shots {
    pub(super) drops: u64,
    pub(super) eofs: u64,
    pub(super) closes: u64,
    pub(super) notices: u64,
}

/// The lasting faults a connection asks about all the time.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "any combination can hold")]
pub(super) struct Holding {
    pub(super) mute: bool,
    pub(super) half_open: bool,
    pub(super) garbage: bool,
    pub(super) lose_trades: bool,
    /// Some instruments are.
    pub(super) mute_symbols: bool,
    pub(super) torn: bool,
    pub(super) trickle: bool,
    pub(super) wrong_encoding: bool,
    pub(super) twice: bool,
    pub(super) swap: bool,
    pub(super) oversized: bool,
}

impl Board {
    pub(super) fn inject(&self, fault: Fault) {
        match fault {
            Fault::Drop => self.drops.fetch_add(1, Ordering::Release),
            Fault::Eof => self.eofs.fetch_add(1, Ordering::Release),
            Fault::Close => self.closes.fetch_add(1, Ordering::Release),
            Fault::Notice => self.notices.fetch_add(1, Ordering::Release),
            lasting => self.change(|all| all.push(lasting)),
        };
    }

    /// Ends one lasting fault.
    pub(super) fn end(&self, fault: &Fault) {
        self.change(|all| {
            if let Some(at) = all.iter().position(|it| it == fault) {
                all.swap_remove(at);
            }
        });
    }

    pub(super) fn clear(&self) {
        self.change(Vec::clear);
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Fault>)) -> u64 {
        change(&mut self.lasting.lock());
        self.epoch.fetch_add(1, Ordering::Release)
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    pub(super) fn shots(&self) -> Shots {
        let count = |it: &AtomicU64| it.load(Ordering::Acquire);
        Shots {
            drops: count(&self.drops),
            eofs: count(&self.eofs),
            closes: count(&self.closes),
            notices: count(&self.notices),
        }
    }

    pub(super) fn holding(&self) -> Holding {
        let all = self.lasting.lock();
        let has = |fault: &Fault| all.contains(fault);
        Holding {
            mute: has(&Fault::Mute),
            half_open: has(&Fault::HalfOpen),
            garbage: has(&Fault::Garbage),
            lose_trades: has(&Fault::LoseTrades),
            mute_symbols: all.iter().any(|it| matches!(it, Fault::MuteSymbol(_))),
            torn: has(&Fault::Torn),
            trickle: has(&Fault::Trickle),
            wrong_encoding: has(&Fault::WrongEncoding),
            twice: has(&Fault::Twice),
            swap: has(&Fault::Swap),
            oversized: has(&Fault::Oversized),
        }
    }

    pub(super) fn refuses(&self) -> bool {
        self.lasting.lock().contains(&Fault::Refuse)
    }

    pub(super) fn refuses_tokens(&self) -> bool {
        self.lasting.lock().contains(&Fault::BadToken)
    }

    /// The status every request is answered with, if any.
    pub(super) fn status(&self) -> Option<u16> {
        self.lasting.lock().iter().find_map(|it| match it {
            Fault::Http(status) => Some(*status),
            _ => None,
        })
    }

    /// Whether an instrument of either of these names is refused.
    pub(super) fn refuses_symbol(&self, names: [&str; 2]) -> bool {
        let refused = |it: &Fault| matches!(it, Fault::RefuseSymbol(s) if names.contains(&&**s));
        self.lasting.lock().iter().any(refused)
    }

    /// Whether an instrument of either of these names is to have no data.
    pub(super) fn mutes_symbol(&self, names: [&str; 2]) -> bool {
        let mute = |it: &Fault| matches!(it, Fault::MuteSymbol(s) if names.contains(&&**s));
        self.lasting.lock().iter().any(mute)
    }
}
