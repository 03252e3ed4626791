"""Tools and bindings as the console's dialects show, make and change them: Tools and ToolBindings, those of kubectl too."""
