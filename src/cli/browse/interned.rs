//! Values that many files have, each kept once and named by its index.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::ops::Index;
use std::sync::Arc;

/// The values in the order in which they came.
#[derive(Debug)]
pub struct Interned<T: ?Sized> {
    values: Vec<Arc<T>>,
    indexes: HashMap<Arc<T>, u32>,
}

impl<T: ?Sized> Default for Interned<T> {
    fn default() -> Interned<T> {
        Interned { values: Vec::new(), indexes: HashMap::new() }
    }
}

impl<T: ?Sized + Hash + Eq> Interned<T> {
    /// The index of a value, which is added if it is not there.
    pub fn add(&mut self, value: impl Borrow<T> + Into<Arc<T>>) -> u32 {
        if let Some(index) = self.indexes.get(value.borrow()) {
            return *index;
        }
        let (value, index) = (value.into(), self.values.len() as u32);
        self.values.push(value.clone());
        self.indexes.insert(value, index);
        index
    }

    /// Whether a value is there.
    pub fn has(&self, value: &T) -> bool {
        self.indexes.contains_key(value)
    }

    /// A value that outlives others' additions.
    pub fn shared(&self, index: u32) -> Arc<T> {
        self.values[index as usize].clone()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &T> + Clone {
        self.values.iter().map(|value| &**value)
    }
}

impl<T: ?Sized> Index<u32> for Interned<T> {
    type Output = T;

    fn index(&self, index: u32) -> &T {
        &self.values[index as usize]
    }
}
