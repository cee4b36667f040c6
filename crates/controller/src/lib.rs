//! The controller of a site: the REST API, the model's store, and what each agent is sent.
