"""Data files of the pipelines; README.md beside this file says where each comes from."""
