"""What Egide speaks of: values and pure rules, which know no database, network or picture."""
