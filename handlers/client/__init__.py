"""A synchronous Python client of the HTTP API; the command line is made with it.

``operations`` (a typed method for each operation) and ``bodies`` are generated from the OpenAPI
document by ``python -m handlers.client.generation``; a test fails where they differ from it.

    with Client("https://api.example.com", ApiKey("sk_...")) as client:
        file = uploads.read(Path("song.mp3"))
        asset = uploads.upload(client, file)
        ...
        job = client.create_job(JobWish(asset_id=asset.asset_id))
        for event in client.follow_job(job.job_id):
            ...

Nothing here imports the server, boto3 or anything else that is slow to load.
"""
