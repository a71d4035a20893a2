"""The client's side: sockets and bytes to exchanges and back."""
