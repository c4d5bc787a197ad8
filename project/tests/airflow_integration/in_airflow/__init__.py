"""Tests that run inside an environment with Airflow (`make test-airflow`): 3.3 and 2.11 alike."""
