"""What is written from the typed models: CustomResourceDefinitions and their reference pages."""
