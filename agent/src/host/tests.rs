//! Files on a real file system, under a temporary root.
