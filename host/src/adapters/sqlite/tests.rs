//! What only this store has: plans, ownership, files, threads.
