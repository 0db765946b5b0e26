//! Journeys by keys, and the screens they lead to.
