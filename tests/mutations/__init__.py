"""D4. Controls of the tests: with a guard of the engine taken out on purpose, a test has to fail."""
