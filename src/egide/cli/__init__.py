"""The command line: a thin shell around `import egide`."""
