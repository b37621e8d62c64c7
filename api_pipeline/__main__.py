"""`python -m api_pipeline`."""

from api_pipeline.cli import main

if __name__ == "__main__":
    main()
