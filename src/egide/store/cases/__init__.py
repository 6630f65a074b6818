"""Cases: what people have registered of themselves, and who may see it."""
