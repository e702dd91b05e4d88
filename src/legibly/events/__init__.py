"""What brings pictures to the service: uploads, looks at the store, messages of queues."""
