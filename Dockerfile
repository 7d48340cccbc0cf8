# Everything that `make` needs, on Debian 12: docker build -t encmac . && docker run --rm -it encmac
FROM debian:12
# git: results say of which commit they are; chromium: tests look at pages in it
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates chromium git make python3 \
 && rm -rf /var/lib/apt/lists/*
# the CPU build of torch
ENV PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu
WORKDIR /encmac
# packages and wheels before the sources, whose changes then fetch nothing again
COPY requirements.txt requirements.lock ./
COPY tools/setup.sh tools/doctor.py tools/
RUN tools/setup.sh && rm -rf /var/lib/apt/lists/* /root/.cache
COPY . .
RUN git config --system --add safe.directory /encmac
CMD ["bash"]
