"""The stand-alone launcher, which the packaged executable is built from."""

from api_pipeline.cli import main

if __name__ == "__main__":
    main()
