"""llmtl: prompt it or fine-tune it, decided with evidence."""
