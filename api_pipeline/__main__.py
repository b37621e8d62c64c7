"""`python -m api_pipeline`."""

from api_pipeline.entry_point import main

if __name__ == "__main__":
    main()
