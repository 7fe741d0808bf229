"""The local stack: an AWS emulator, what ``template.yaml`` declares in it, and our processes.

``Emulator`` starts the cloud, ``provision`` fills it, ``Supervisor`` runs the components,
``DataLock`` keeps one stack per data directory. The command line puts them together; nothing
here knows what a component does.
"""
