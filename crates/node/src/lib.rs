//! One member as a step function, and the threads that drive it.
