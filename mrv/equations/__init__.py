"""Emission equations, one file for each subject, with source and equation number."""
