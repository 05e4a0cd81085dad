"""From findings to what people and tools read: table, JSON, Markdown, JUnit."""
