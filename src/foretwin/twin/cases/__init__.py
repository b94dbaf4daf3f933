"""Cases: rules, application to the store, service requests, feedback."""
