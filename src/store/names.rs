//! The names in one file, as dictionaries.
//!
//! An event carries the number of its instrument. The first event of an instrument in a file puts
//! its names into the dictionaries; every later one costs an array index.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, AsArray as _, DictionaryArray, Int32Array, RecordBatch, StringArray},
    datatypes::Int32Type,
};

use crate::market::{Exchange, Instrument, InstrumentId, Market, Side};

/// The names of one exchange's instruments, as far as they have occurred.
#[derive(Debug)]
pub(super) struct Names {
    exchange: ArrayRef,
    market: ArrayRef,
    side: ArrayRef,
    /// By instrument id: where its names are in the dictionaries.
    keys: Vec<Option<i32>>,
    /// By key.
    markets: Vec<i32>,
    symbols: Vec<Arc<Instrument>>,
    symbol: ArrayRef,
    symbol_native: ArrayRef,
}

impl Names {
    pub(super) fn new(exchange: Exchange) -> Self {
        Self {
            exchange: strings([exchange.name()]),
            market: strings(Market::ALL.map(Market::name)),
            side: strings([Side::Buy, Side::Sell, Side::Unknown].map(Side::name)),
            keys: Vec::new(),
            markets: Vec::new(),
            symbols: Vec::new(),
            symbol: strings([]),
            symbol_native: strings([]),
        }
    }

    /// The key of an instrument's names.
    pub(super) fn key(&mut self, id: InstrumentId, instrument: &Arc<Instrument>) -> i32 {
        match self.keys.get(id.0 as usize) {
            Some(&Some(key)) => key,
            _ => self.add(id, instrument),
        }
    }

    #[cold]
    fn add(&mut self, id: InstrumentId, instrument: &Arc<Instrument>) -> i32 {
        let key = i32::try_from(self.symbols.len()).expect("the registry is far smaller");
        let at = id.0 as usize;
        self.keys.resize(self.keys.len().max(at + 1), None);
        self.keys[at] = Some(key);
        self.markets.push(instrument.venue.market as i32);
        self.symbols.push(Arc::clone(instrument));
        key
    }

    /// The columns `exchange`, `market`, `symbol`, `symbol_native` of the rows with these keys.
    pub(super) fn columns(&mut self, keys: Vec<i32>) -> [ArrayRef; 4] {
        if self.symbol.len() < self.symbols.len() {
            self.symbol = strings(self.symbols.iter().map(|it| it.symbol.as_str()));
            self.symbol_native = strings(self.symbols.iter().map(|it| it.symbol_native.as_str()));
        }
        let markets =
            keys.iter().map(|&it| self.markets[it.cast_unsigned() as usize]).collect::<Vec<_>>();
        let exchanges = vec![0; keys.len()];
        let keys = Int32Array::from(keys);
        [
            dictionary(exchanges.into(), &self.exchange),
            dictionary(markets.into(), &self.market),
            dictionary(keys.clone(), &self.symbol),
            dictionary(keys, &self.symbol_native),
        ]
    }

    /// The column `side`.
    pub(super) fn sides(&self, sides: Vec<i32>) -> ArrayRef {
        dictionary(sides.into(), &self.side)
    }
}

/// The market of each row of a batch of any table; `None` for a name that is none of ours.
pub(super) fn markets(batch: &RecordBatch) -> impl Iterator<Item = Option<Market>> {
    let column: &DictionaryArray<Int32Type> = batch["market"].as_dictionary();
    let names: &StringArray = column.values().as_string();
    let markets: Vec<_> = names.iter().map(|it| it.and_then(|it| it.parse().ok())).collect();
    let keys = column.keys().values().iter();
    keys.map(move |it| markets.get(it.cast_unsigned() as usize).copied().flatten())
}

fn strings<'a>(values: impl IntoIterator<Item = &'a str>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

fn dictionary(keys: Int32Array, values: &ArrayRef) -> ArrayRef {
    Arc::new(DictionaryArray::new(keys, Arc::clone(values)))
}
