//! The names in the files of one folder, each once, and the order of rows that follows from them.
//!
//! Every file has dictionaries of its own. While rows are sorted and merged they have the numbers of
//! one dictionary for all files instead: to compare and to copy a name is to compare and to copy an
//! integer, and what is written aside has no strings in it but trade ids.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, AsArray as _, DictionaryArray, RecordBatch, StringArray},
    datatypes::{DataType, Field, Int32Type, Schema, SchemaRef, TimestampMicrosecondType},
    error::ArrowError,
};
use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::store::table::Table;

/// The most names in a column of one folder: more than any exchange lists, a hundred times over.
const NAMES_MAX: usize = 1 << 20;

/// The most pairs of symbol and market. To sort takes four bytes for each.
const GROUPS_MAX: usize = 1 << 22;

/// The dictionaries of one folder.
pub(super) struct Names {
    schema: SchemaRef,
    plain: SchemaRef,
    /// By column; `None` for one that has no dictionary.
    columns: Vec<Option<Dictionary>>,
}

#[derive(Default)]
struct Dictionary {
    keys: HashMap<Arc<str>, i32, FixedState>,
    /// By key.
    values: Vec<Arc<str>>,
}

/// [`Names`] to which none is added any more.
pub(super) struct Frozen {
    schema: SchemaRef,
    columns: Vec<Option<ArrayRef>>,
}

/// By what rows are sorted: symbol, market, time. A null comes first.
pub(super) struct Order {
    /// By key + 1.
    symbols: Vec<u32>,
    markets: Vec<u32>,
    columns: [usize; 3],
}

/// The place of a row in an [`Order`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    /// Of the pair of symbol and market, less than [`Order::groups`].
    pub(super) group: u32,
    /// [`Table::time`], in microseconds.
    pub(super) time: i64,
}

impl Names {
    /// No names yet, for rows of `schema`.
    pub(super) fn new(schema: &SchemaRef) -> Self {
        let is_name = |it: &Field| matches!(it.data_type(), DataType::Dictionary(..));
        let fields = schema.fields();
        let plain = fields.iter().map(|it| match it.data_type() {
            DataType::Dictionary(key, _) => {
                Arc::new(it.as_ref().clone().with_data_type(key.as_ref().clone()))
            }
            _ => Arc::clone(it),
        });
        Self {
            schema: Arc::clone(schema),
            plain: Arc::new(Schema::new(plain.collect::<Vec<_>>())),
            columns: fields.iter().map(|it| is_name(it).then(Dictionary::default)).collect(),
        }
    }

    /// The same rows with numbers for names.
    pub(super) fn plain(&mut self, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let columns = self.columns.iter_mut().zip(batch.columns());
        let columns = columns.map(|(names, column)| match names {
            Some(names) => names.keys(column),
            None => Ok(Arc::clone(column)),
        });
        RecordBatch::try_new(Arc::clone(&self.plain), columns.collect::<Result<_, _>>()?)
    }

    /// What puts the names back.
    pub(super) fn freeze(&self) -> Frozen {
        let values =
            |it: &Dictionary| -> ArrayRef { Arc::new(StringArray::from_iter_values(&it.values)) };
        let columns = self.columns.iter().map(|it| it.as_ref().map(values)).collect();
        Frozen { schema: Arc::clone(&self.schema), columns }
    }

    /// The order of rows of `table`. Names that come later do not change the order of those that
    /// are there, but they change the numbers of the groups.
    pub(super) fn order(&self, table: Table) -> Result<Order, ArrowError> {
        let at = |name| self.schema.index_of(name);
        let columns = [at("symbol")?, at("market")?, at(table.time())?];
        let ranks = |at: usize| self.columns[at].as_ref().map(Dictionary::ranks);
        let no_name = || ArrowError::SchemaError("symbol and market are names".to_owned());
        let [symbols, markets] = [ranks(columns[0]), ranks(columns[1])];
        let order = Order {
            symbols: symbols.ok_or_else(no_name)?,
            markets: markets.ok_or_else(no_name)?,
            columns,
        };
        if GROUPS_MAX < order.groups() {
            return Err(too_many("pairs of symbol and market", GROUPS_MAX));
        }
        Ok(order)
    }
}

fn too_many(what: &str, max: usize) -> ArrowError {
    ArrowError::InvalidArgumentError(format!("more than {max} {what}"))
}

impl Dictionary {
    fn key(&mut self, name: &str) -> Result<i32, ArrowError> {
        if let Some(&key) = self.keys.get(name) {
            return Ok(key);
        }
        if self.values.len() == NAMES_MAX {
            return Err(too_many("names in a column", NAMES_MAX));
        }
        let key = i32::try_from(self.values.len()).expect("NAMES_MAX is less");
        let name: Arc<str> = name.into();
        self.values.push(Arc::clone(&name));
        self.keys.insert(name, key);
        Ok(key)
    }

    fn keys(&mut self, column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
        let column = column.as_dictionary::<Int32Type>();
        // A key that is null need not be one of the dictionary.
        let values = column.values().as_string::<i32>().iter();
        let keys = values.map(|it| self.key(it.unwrap_or_default())).collect::<Result<Vec<_>, _>>();
        let keys = keys?;
        let key = |at: i32| keys.get(at.cast_unsigned() as usize).copied().unwrap_or_default();
        Ok(Arc::new(column.keys().unary::<_, Int32Type>(key)))
    }

    /// By key + 1: the place among all names in alphabetical order, 0 for null.
    fn ranks(&self) -> Vec<u32> {
        let mut sorted: Vec<_> = (0..self.values.len()).collect();
        sorted.sort_unstable_by_key(|&it| &self.values[it]);
        let mut ranks = vec![0; self.values.len() + 1];
        for (rank, key) in (1..).zip(sorted) {
            ranks[key + 1] = rank;
        }
        ranks
    }
}

impl Frozen {
    /// The same rows with names for numbers.
    pub(super) fn named(&self, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let columns = self.columns.iter().zip(batch.columns());
        let columns = columns.map(|(names, column)| match names {
            Some(names) => {
                let keys = column.as_primitive::<Int32Type>().clone();
                Ok(Arc::new(DictionaryArray::try_new(keys, Arc::clone(names))?) as ArrayRef)
            }
            None => Ok(Arc::clone(column)),
        });
        RecordBatch::try_new(Arc::clone(&self.schema), columns.collect::<Result<_, ArrowError>>()?)
    }
}

impl Order {
    /// How many pairs of symbol and market there can be.
    pub(super) fn groups(&self) -> usize {
        self.symbols.len().saturating_mul(self.markets.len())
    }

    /// The place of each row of a plain batch.
    pub(super) fn keys(&self, batch: &RecordBatch) -> impl Iterator<Item = Key> {
        let [symbols, markets, times] = self.columns.map(|at| batch.column(at));
        let times = times.as_primitive::<TimestampMicrosecondType>().values();
        let markets = ranks(&self.markets, markets);
        let places = ranks(&self.symbols, symbols).zip(markets).zip(times);
        let width = u32::try_from(self.markets.len()).expect("GROUPS_MAX is less");
        places.map(move |((symbol, market), &time)| Key { group: symbol * width + market, time })
    }
}

fn ranks(ranks: &[u32], column: &ArrayRef) -> impl Iterator<Item = u32> {
    let keys = column.as_primitive::<Int32Type>();
    keys.iter().map(|it| ranks[it.map_or(0, |it| it.cast_unsigned() as usize + 1)])
}

#[cfg(test)]
mod tests {
    use arrow::{array::StringDictionaryBuilder, util::display::array_value_to_string};

    use super::*;
    use crate::store::schema::schema;

    /// A gap of each symbol, `None` for one of all symbols.
    fn gaps(symbols: &[Option<&str>]) -> RecordBatch {
        let schema = schema(Table::Gaps);
        let columns = schema.fields().iter().map(|it| {
            let mut names = StringDictionaryBuilder::<Int32Type>::new();
            match it.name().as_str() {
                "symbol" => symbols.iter().for_each(|&it| names.append_option(it)),
                _ => symbols.iter().for_each(|_| names.append_value("x")),
            }
            match it.data_type() {
                DataType::Dictionary(..) => Arc::new(names.finish()) as ArrayRef,
                other => arrow::array::new_null_array(other, symbols.len()),
            }
        });
        let fields = schema.fields().iter().map(|it| it.as_ref().clone().with_nullable(true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        RecordBatch::try_new(schema, columns.collect())
            .expect("the columns are those of the schema")
    }

    fn symbols(batch: &RecordBatch) -> Vec<String> {
        let column = batch.column_by_name("symbol").expect("a column");
        let name = |row| array_value_to_string(column, row).expect("it can be shown");
        (0..batch.num_rows()).map(name).collect()
    }

    #[test]
    fn files_with_dictionaries_of_their_own_get_one_for_all() {
        let batches = [gaps(&[Some("B"), None, Some("A")]), gaps(&[Some("A"), Some("0"), None])];
        let mut names = Names::new(&batches[0].schema());
        let plain = batches.each_ref().map(|it| names.plain(it).expect("names"));
        let frozen = names.freeze();
        for (batch, plain) in batches.iter().zip(&plain) {
            assert_eq!(symbols(&frozen.named(plain).expect("numbers")), symbols(batch));
        }
        let order = names.order(Table::Gaps).expect("an order");
        let groups = |it: &RecordBatch| order.keys(it).map(|it| it.group).collect::<Vec<_>>();
        // Null, 0, A, B; each with the markets null and x.
        assert_eq!(plain.each_ref().map(groups), [[7, 1, 5], [5, 3, 1]]);
        assert_eq!(order.groups(), 8);
    }
}
